"""From a question to the text that is asked, and the ways of asking it."""

from __future__ import annotations

import re
from itertools import permutations
from string import ascii_uppercase
from typing import Literal

from medbench.catalog.model import ChoiceForm, FieldsForm, LabelForm, Part
from medbench.errors import InputError, Problem
from medbench.items.model import Question, Variant
from medbench.text import say

Orders = Literal["first", "rotate", "all"]
MOST_ORDERS = 120
"""5!: what five options give; six would already ask an item 720 times."""

# An option that speaks about the other options by their letters or their place would change its meaning when moved.
_ABOUT_ALL = re.compile(
    r"^(?:以上|上述|前述)(?:都|均|皆|全|各|所有|任何|任一|答案|选项|说法|内容|情况|[二两三四五六]|不|无|非|没|$)"
    r"|^(?:都|均|皆|全部?|全都)(?:对|错|是|不是|非|正确|错误|不正确|不对|可以?|不可以?|有|没有)(?:的)?[。.]?$"
    r"|^(?:all|none|both|neither|any|either|most) of (?:the )?(?:above|these|those|listed|options|choices|answers)\b"
    r"|^(?:both|neither) of (?:the )?(?:above|these)\b"
    r"|^(?:all|none) (?:are|is) (?:correct|true|right|wrong|false)\b",
    re.IGNORECASE,
)
_LETTERS = re.compile(
    r"^(?i:both|only|either|neither|options?|choices?|answers?|选项|仅|只有|除)?\s*"
    r"(?P<letters>[A-Z](?:\s*(?:,|，|、|和|与|及|或|并|以及|(?i:and|or|nor)|&|\+|/)+\s*[A-Z])+|[A-Z]{2,})"
    r"\s*(?:$|[。.]|都|均|皆|是|对|错|正确|错误|选项|以?外|(?i:are|is|only|together))"
)
_ONE_LETTER = re.compile(r"^(?i:选项|同|除|options?|choice|same as)\s*(?P<letters>[A-Z])\b")


def keeps_its_place(option: str, count: int) -> bool:
    """Whether an option refers to others by letter, or to all or none of them, so that it must not be moved.

    Args:
        option: Its text.
        count: Number of options of the item: only its letters count as references (`B和T细胞` is no reference).
    """
    text = option.strip()
    if _ABOUT_ALL.search(text):
        return True
    for pattern in (_LETTERS, _ONE_LETTER):
        if found := pattern.search(text):
            letters = re.findall(r"[A-Z]", re.sub(r"(?i:and|nor|or)", "", found["letters"]))
            if letters and all(ord(letter) - ord("A") < count for letter in letters):
                return True
    return False


def make_variants(question: Question, orders: Orders) -> tuple[Variant, ...]:
    """The ways of asking an item.

    Variants that came with the item (the official release's shuffled rows) are used as they came. Otherwise `first`
    asks once, `rotate` moves every option through every place (n variants for n options), `all` takes every order.
    Options that refer to letters or to all or none of the others keep their place (specs/scoring.md, section 3).

    Raises:
        InputError: `all` would give more than 120 orders.
    """
    if question.variants:
        return question.variants[:1] if orders == "first" else question.variants
    if orders == "first":
        return (Variant(),)
    count = len(question.options)
    free = [index for index, option in enumerate(question.options) if not keeps_its_place(option, count)]
    if len(free) < 2:
        return (Variant(),)
    if orders == "rotate":
        arrangements = [tuple(free[shift:] + free[:shift]) for shift in range(len(free))]
    else:
        total = 1
        for factor in range(2, len(free) + 1):
            total *= factor
        if total > MOST_ORDERS:
            raise InputError(
                Problem(
                    message=say("items.too_many_orders", uid=question.uid, options=len(free), most=MOST_ORDERS),
                    advice=say("items.too_many_orders_advice"),
                )
            )
        arrangements = list(permutations(free))
    variants = []
    for arrangement in arrangements:
        order = list(range(count))
        for place, option in zip(free, arrangement, strict=True):
            order[place] = option
        # The order as it stands is always the empty one, so that `first` and `rotate` share that call.
        variants.append(Variant() if order == list(range(count)) else Variant(order=tuple(order)))
    return tuple(variants)


def render(question: Question, variant: Variant, part: Part, instruction: str) -> str:
    """The whole text to ask.

    Args:
        question: What is asked.
        variant: Which way; a verbatim prompt is returned as it is.
        part: Says whether options are lettered choices or a closed list of labels.
        instruction: How to answer; put at the end.
    """
    if variant.prompt:
        return variant.prompt
    blocks = [question.text.strip()]
    form = part.answer
    chinese = question.language == "zh"
    if isinstance(form, ChoiceForm):
        order = variant.order or range(len(question.options))
        lines = [f"{ascii_uppercase[place]}. {question.options[index]}" for place, index in enumerate(order)]
        blocks.append("\n".join(lines))
    elif isinstance(form, LabelForm):
        # The form's own list is part of the instruction; a question that names every label itself is not made longer.
        if not all(label in question.text for label in question.options):
            blocks.append(
                ("可选标签：" if chinese else "Labels: ") + ("、" if chinese else ", ").join(question.options)
            )
    elif isinstance(form, FieldsForm) and not all(field in question.text for field in question.fields):
        blocks.append(("字段：" if chinese else "Keys: ") + ("、" if chinese else ", ").join(question.fields))
    blocks.append(instruction.strip())
    return "\n\n".join(block for block in blocks if block)
