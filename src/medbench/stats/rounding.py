"""Rounding for display."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext


def half_up(value: float | Decimal, places: int = 1) -> Decimal:
    """Round for display, halves away from zero: 59.45 becomes 59.5.

    A Decimal (or int) is rounded as it is. A float is first read as the decimal number it stands for: its 12 leading
    significant digits, so that neither the binary form of 59.45 (59.4500000000000028…) nor the residue of arithmetic
    (23/80 · 100 = 28.749999999999996, shown as 28.8) decides the last digit. For floats typed with up to 12 digits
    this equals their repr. Means of scores lie on the tie or at least 1e-10 of their size away from it, so nothing that
    is truly below a tie is lifted over it.

    Args:
        value: A finite number.
        places: Decimal places to keep, >= 0.

    Returns:
        A Decimal with exactly `places` places; zero has no sign. `str()` of it is what is shown.

    Raises:
        ValueError: `value` is NaN or infinite, or `places` is negative.
    """
    if places < 0:
        raise ValueError(f"places is {places}; it must be 0 or more")
    exact = Decimal(value) if isinstance(value, Decimal | int) else Decimal(f"{float(value):.12g}")
    if not exact.is_finite():
        raise ValueError(f"{value} cannot be rounded: it is not a finite number")
    with localcontext() as context:
        # Room for every digit before the point: quantize refuses more digits than the context holds.
        context.prec = max(28, exact.adjusted() + places + 2)
        rounded = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return abs(rounded) if rounded.is_zero() else rounded
