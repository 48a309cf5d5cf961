"""Whether an answer declines to answer. A label only: each dataset's scorer decides what it means."""

from __future__ import annotations

import re

from medbench.scoring.extract.normalise import nfkc

_OPENING = 240
_CANNOT = r"(?:无法|不能|不便|不会|难以|没有办法|没办法|拒绝|不可以|不方便|不应该?)"
_GIVE = (
    r"(?:[向给帮为对就](?:您|你|此|这)?|直接|继续|具体|擅自)?"
    r"(?:回答|作答|提供|协助|满足|帮助|帮忙|完成|处理|执行|给出|配合|参与|讨论|回应|支持|鼓励|赞成|认同)"
)
# A patient who cannot answer is no refusal: the speaker must be the model, or nobody (at the very beginning).
_CHINESE = re.compile(
    rf"(?:我们?|本人|作为[^,。\n]{{0,20}}[,\s]?)[^,。;\n患]{{0,8}}{_CANNOT}{_GIVE}"
    rf"|(?:抱歉|对不起|很遗憾|请谅解|请恕|恕我|恕)[^。\n患]{{0,24}}{_CANNOT}"
    rf"|^[\W_]*{_CANNOT}{_GIVE}"
)
_VERBS = (
    r"(?:help|assist|answer|provide|comply|fulfil|fulfill|share|give|do|support|complete|continue|offer|engage|discuss|"
    r"participate|write|create|generate|respond|condone|promote|encourage|endorse)"
)
_ENGLISH = re.compile(
    rf"\b(?:i|we)(?:'m|'re|\sam|\sare)?\s(?:can't|cannot|can\snot|won't|will\snot|am\sunable\sto|unable\sto|"
    rf"not\sable\sto|couldn't|could\snot)\s{_VERBS}\b"
    r"|\b(?:i|we)(?:\sdo\snot|\sdon't)\s(?:support|condone|promote|encourage|endorse)\b"
    r"|\bi(?:\smust|\shave\sto|'ll\shave\sto|\swill)?\s(?:respectfully\s)?(?:decline|refuse)\b"
    r"|\b(?:sorry|apologi[sz]e|unfortunately),?\s(?:but\s)?(?:i|we)\s(?:can't|cannot|can\snot|won't|am\sunable|'m\sunable)\b",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether the opening of an answer says that it will not be given, in Chinese or English.

    Only the first 240 characters are read: an essay that mentions a limit somewhere is not a refusal.

    Args:
        text: The answer without reasoning.
    """
    opening = nfkc(text[:_OPENING]).replace("\u2019", "'")
    return bool(_CHINESE.search(opening) or _ENGLISH.search(opening))
