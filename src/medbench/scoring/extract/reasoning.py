"""What of a response is its answer: everything but the reasoning that the model shows before it."""

from __future__ import annotations

import re

# Openers and closers of reasoning as models write them: DeepSeek and Qwen (<think>), Kimi (◁think▷), Magistral
# ([THINK]), OpenThinker (<|begin_of_thought|>), Command A (<|START_THINKING|>), MedGemma (<unused94>), gpt-oss
# (channels).
_TAG = re.compile(
    r"[<◁\[](?:(?P<open>(?<=<)(?:(?:think|thinking|thoughts?|reasoning|analysis|reflection)(?:\s[^<>]{0,80})?>"
    r"|\|begin_of_thought\|>|\|START_THINKING\|>|unused94>|\|channel\|>\s{0,3}(?:analysis|commentary))"
    r"|(?<=◁)think▷|(?<=\[)THINK\])"
    r"|(?P<close>(?<=<)(?:/\s?(?:think|thinking|thoughts?|reasoning|analysis|reflection)\s?>"
    r"|\|end_of_thought\|>|\|END_THINKING\|>|unused95>|\|channel\|>\s{0,3}final[^<>]{0,40}<\|message\|>)"
    r"|(?<=◁)/think▷|(?<=\[)/THINK\]))",
    re.IGNORECASE,
)
# A pair of tags in which a model puts its final answer.
_FINAL_OPEN = re.compile(r"<(answer|final_answer|final|solution)>|<\|begin_of_solution\|>", re.IGNORECASE)
_FINAL_CLOSE = re.compile(r"</(?:answer|final_answer|final|solution)\s?>|<\|end_of_solution\|>", re.IGNORECASE)
# Tokens that end a turn and that some servers leave in the text.
_TURN_END = re.compile(r"<\|[A-Za-z_]{2,24}\|>|</s>|<end_of_turn>|<eos>")
# gpt-oss when a server drops the special tokens: "analysis…assistantfinal…".
_BARE_CHANNELS = "assistantfinal"


def strip_reasoning(text: str) -> str:
    """The answer in a response: the text outside its reasoning, in linear time.

    A closer without an opener ends reasoning that began with the response (servers put the opener into the prompt).
    Reasoning that is never closed has no answer behind it, whatever stands before it, unless a pair of answer tags
    stands inside. Where an answer is put into answer tags, the last such pair is the answer.

    Returns:
        The answer without surrounding white space; empty where there is none.
    """
    if "<" not in text and "[" not in text and "◁" not in text:
        return _after_bare_channels(text).strip()
    kept: list[str] = []
    start = 0
    inside = False
    for tag in _TAG.finditer(text):
        if tag.lastgroup == "open":
            if not inside:
                kept.append(text[start : tag.start()])
                inside, start = True, tag.end()
        else:
            if not inside:
                kept.clear()
            inside, start = False, tag.end()
    if inside:
        return _in_answer_tags(text[start:], complete=True) or ""
    answer = text if start == 0 else "\n".join([*kept, text[start:]])
    tagged = _in_answer_tags(answer, complete=False)
    if tagged is not None:
        answer = tagged
    if "<|" in answer or "</s>" in answer or "<e" in answer:
        answer = _TURN_END.sub(" ", answer)
    return _after_bare_channels(answer).strip()


def _in_answer_tags(text: str, *, complete: bool) -> str | None:
    """What the last pair of answer tags holds; None where there is none or it is blank (tags that are only mentioned).

    Args:
        text: Without reasoning, or reasoning that was never closed.
        complete: The pair must be closed.
    """
    opener = None
    for opener in _FINAL_OPEN.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    if opener is None:
        return None
    closer = _FINAL_CLOSE.search(text, opener.end())
    if closer is None and complete:
        return None
    inner = text[opener.end() : closer.start() if closer else len(text)].strip()
    return inner or None


def _after_bare_channels(text: str) -> str:
    if text.startswith("analysis"):
        _, found, final = text.rpartition(_BARE_CHANNELS)
        if found:
            return final
    return text
