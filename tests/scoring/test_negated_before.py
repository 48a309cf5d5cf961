"""The quick look at what stands before a cue sees exactly what the pattern sees."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from medbench.scoring.extract.choice_patterns import NEGATED_BEFORE, negated_before

WORDS = """
不 没 未 别 勿 误 错误的 错 并非 难 假设 假如 如果 倘若 若 要是 是否 排除 干扰 其他 其它 人 考生 学生 同学 易 常
例如, 比如 格式 示例 还是 或者 或 选项 应该 可以 本题 正确 患者
not Cannot never wrong incorrect if suppose assuming whether avoid than instead other e.g. example format might have
students people some isn't n’t B b or option the correct i select : ( x .
"""
PIECES = [*WORDS.split(), " "]


@settings(max_examples=3000)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.characters(codec="utf-8")), max_size=7).map("".join))
@example("AB或")
@example("don't")
@example("knot ")
@example("not the ")
def test_it_is_the_search_of_the_pattern(text):
    assert negated_before(text) == bool(NEGATED_BEFORE.search(text))
