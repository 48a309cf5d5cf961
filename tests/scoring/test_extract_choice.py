from __future__ import annotations

import pytest

from medbench.catalog.model import ChoiceForm
from medbench.scoring.extract import extract

OPTIONS = ("肺炎", "胰腺癌", "慢性胰腺炎", "胆囊炎", "肝硬化")
ENGLISH = ("Pneumonia", "Pancreatic cancer", "Chronic pancreatitis", "E. coli", "Cirrhosis of the liver")


def read(text: str, *, multiple: bool = False, options: tuple[str, ...] = OPTIONS) -> str:
    found = extract(ChoiceForm(multiple=multiple), text, options)
    if found.value is None:
        assert found.reason
        return found.reason
    assert not found.reason
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[position] for position in sorted(found.value))


SINGLE = {
    # Letters alone
    "B": "B", "b": "B", "<B>": "B", "< B >": "B", "＜Ｂ＞": "B", "Ｂ": "B", "B.": "B", "B。": "B", "B、": "B",
    "(B)": "B", "（B）": "B", "[B]": "B", "【B】": "B", "**B**": "B",
    "`B`": "B", "```\nB\n```": "B", '"B"': "B", "“B”": "B", " B \n": "B", "\ufeffB": "B", "B\u200b": "B",
    "\\boxed{B}": "B", "$\\boxed{B}$": "B", "\\boxed{\\text{B}}": "B", "\\boxed{(B)}": "B",
    "\\boxed{B. 胰腺癌}": "B", "选项B": "B", "Option B": "B", "选B": "B", "B项": "B", "B选项": "B", "BB": "B",
    "B, B": "B", "> B": "B", "- B": "B", "### B": "B", "<b>B</b>": "B",
    "<strong>B</strong>": "B", "(b)": "B", "b.": "B", "A": "A", "E": "E", "答B": "B",
    # Cues in Chinese
    "答案是B": "B", "答案是 B。": "B", "答案：B": "B", "答案:B": "B", "答案为B": "B", "答案是：B": "B", "答案选B": "B",
    "正确答案：B": "B", "正确答案是B。": "B", "正确答案为选项B。": "B", "最终答案：**B**": "B",
    "本题答案为（B）。": "B", "答：B": "B", "答：<B>": "B", "回答：B": "B", "【答案】B": "B", "【答案】：B": "B",
    "【正确答案】 B": "B", "### 答案\nB": "B", "**答案：**\n\n**B**": "B", "故选B": "B", "故选：B": "B",
    "故选 B。": "B", "因此选择B。": "B", "应选B项。": "B", "本题选B。": "B", "综上，选B项": "B", "我选B": "B",
    "我选择B。": "B", "我的选择是B": "B", "选（B）": "B", "所以选<B>": "B", "正确选项是B": "B",
    "最佳选项为：B": "B", "最符合的选项是B。": "B", "最可能的诊断是B。": "B", "最合适的是B": "B", "因此，B。": "B",
    "综上所述，应该是B。": "B", "答案应为B。": "B", "答案应该是B": "B", "答案很可能是B。": "B",
    "答案是B胰腺癌": "B", "答案是B 胰腺癌": "B", "答案：B.胰腺癌": "B", "答案：B、胰腺癌": "B",
    "答案是B（胰腺癌）": "B", "答案为B——胰腺癌": "B", "答案是B，因为患者有黄疸": "B", "答案是B因为患者有黄疸": "B",
    "选B项，理由如下：A不符合": "B",
    "故选B\n解析：A错误": "B", "答案：B 解析：A项不对": "B", "答案：Ｂ": "B", "答案是“B”": "B", "答案是「B」": "B",
    '{"答案": "B"}': "B", '{"answer": "B", "reason": "A 不符合"}': "B", '```json\n{"answer":"B"}\n```': "B",
    "选项中最恰当的是B": "B", "正确的是B。": "B", "答案 = B": "B", "答案→B": "B", "选定B": "B",
    # Cues in English
    "The answer is B": "B", "The answer is B.": "B", "The correct answer is (B)": "B",
    "The correct answer is B) Pancreatic cancer": "B", "Answer: B": "B", "ANSWER: B": "B", "answer: b": "B",
    "Answer: B. text": "B",
    "Answer: (B)": "B", "Answer - B": "B", "Answer\n\nB": "B", "## Final Answer\n**B**": "B",
    "Final answer: **C**": "C", "The final answer is \\boxed{C}": "C", "The best option is B.": "B",
    "The correct choice is: B": "B",
    "I choose B.": "B", "I would select option B.": "B", "I'd go with B.": "B", "Therefore, B.": "B",
    "So the answer is B because of jaundice.": "B", "The answer to this question is B.": "B",
    "The most likely diagnosis is B.": "B",
    "The answer must be B.": "B", "Answer: Option B": "B", "The answer is: B - pancreatic cancer": "B",
    "the answer is a.": "A", "The answer is A.": "A", "The answer is A because of fever": "A",
    "The answer is B, not A.": "B",
    "My answer: <B>": "B", "The answer is therefore B.": "B", "The answer is \"B\".": "B",
    # An answer and its explanation
    "B. 胰腺癌": "B", "B 胰腺癌": "B", "B胰腺癌": "B", "B：胰腺癌": "B", "B) 胰腺癌": "B", "(B) 胰腺癌": "B",
    "B. 因为患者黄疸": "B", "B. option text": "B", "b. 胰腺癌": "B", "B\n\n解释：A选项与C选项不符。": "B",
    "B. 胰腺癌\n\n解析：A选项肺炎不符；C选项慢性胰腺炎也不符。": "B", "B，因为患者有黄疸，A不符合": "B",
    "B。患者有黄疸。": "B", "**B. 胰腺癌**\n\n- A. 肺炎：无咳嗽": "B", "B\n理由：\n1. 黄疸\n2. 消瘦": "B",
    "<B>\n解析": "B",
    # Reasoning before the answer; the last verdict wins
    "先排除A。患者黄疸。\nB": "B", "患者黄疸，消瘦。\n\nB. 胰腺癌": "B",
    "A选项错误。B选项正确。C选项错误。因此，故选B。": "B", "初看答案是A。但考虑到黄疸，答案是B。": "B",
    "答案是B。等等，不对，应该是C。": "C", "答案是A。\n重新考虑后，答案应为C。": "C",
    "I first thought the answer is A. But the answer is C.": "C", "A：错误。B：正确。\n因此，本题选B。": "B",
    "<think>答案是A</think>B": "B", "<think>\n答案是A\n</think>\n\n答案：C": "C",
    "分析：题目问胰腺癌。</think>\n<B>": "B",
    "<think>A</think><answer>B</answer>": "B", "C\n\n等等，重新考虑。\n\nB": "B",
    # Statements about an option
    "B选项正确": "B", "选项B正确": "B", "B项正确。": "B", "B是正确的": "B", "B正确": "B", "B是正确答案": "B",
    "B为正确答案。": "B", "B符合题意": "B", "Option B is correct.": "B", "B is the correct answer.": "B",
    "(B) is correct": "B",
    "A选项错误，B选项正确，C选项错误。": "B", "B is the best answer": "B", "B is right.": "B",
    # The text of an option
    "胰腺癌": "B", "胰腺癌。": "B", "“慢性胰腺炎”": "C", "答案是胰腺癌。": "B", "答案：慢性胰腺炎": "C",
    "胰 腺 癌": "B", "**肝硬化**": "E",
    # No verdict: letters that are mentioned
    "A选项提到的药物是禁忌，B 也不合适": "no_verdict", "Vitamin B deficiency": "no_verdict",
    "hepatitis B": "no_verdict", "患者为乙型肝炎病毒B基因型": "no_verdict", "I think a biopsy": "no_verdict",
    "Type A": "no_verdict", "A biopsy is needed": "no_verdict",
    "The answer is A biopsy": "no_verdict", "The answer is a biopsy": "no_verdict", "答案是B型肝炎": "no_verdict",
    "答案是B超检查": "no_verdict", "选 B 超检查": "no_verdict", "选C反应蛋白": "no_verdict",
    "答案是维生素B": "no_verdict", "B超提示胆囊结石": "no_verdict",
    "C反应蛋白升高": "no_verdict", "D-二聚体升高": "no_verdict", "E. coli is the most common": "no_verdict",
    "The answer is E. coli": "no_verdict", "A型血": "no_verdict", "血型为A型": "no_verdict",
    "Child-Pugh B级": "no_verdict", "A、B、C、D都不对": "no_verdict",
    "选项B提到了胰腺癌，但仍需进一步检查。": "no_verdict",
    "Option B mentions cancer, which needs more tests.": "no_verdict", "Plan B would be surgery": "no_verdict",
    "肺部CT和B超": "no_verdict", "需要更多信息才能回答": "no_verdict", "候选B": "no_verdict",
    "多选B组药物": "no_verdict",
    "题目要求把序号填写到<>中": "no_verdict", "A: I think it may be cancer": "no_verdict",
    "I, as a doctor, would ask more.": "no_verdict", "胰腺癌是常见病": "no_verdict",
    "Factor A and factor B interact": "no_verdict", "The patient is B positive": "no_verdict",
    "Both A and B have been described in the literature": "no_verdict", "DNA": "out_of_range",
    "答案是MRI检查": "no_verdict", "答案：CT": "out_of_range", "答案是什么呢": "no_verdict",
    "I answered a question": "no_verdict", "select a treatment": "no_verdict",
    # No verdict: denied, hypothetical, or somebody else's
    "答案不是B": "no_verdict", "not B": "no_verdict", "Not B.": "no_verdict", "the answer is not A": "no_verdict",
    "The answer isn't B.": "no_verdict", "B是错误的": "no_verdict", "B错误": "no_verdict", "B不正确": "no_verdict",
    "排除B": "no_verdict", "不选B": "no_verdict",
    "不能选B。": "no_verdict", "不应选B": "no_verdict", "我不选B。": "no_verdict", "正确答案不选B": "no_verdict",
    "错误答案是B": "no_verdict", "The wrong answer is B": "no_verdict", "The incorrect answer is B.": "no_verdict",
    "如果答案是B，那么需要化疗": "no_verdict",
    "假如选B，则与题意矛盾": "no_verdict", "If the answer is B, then surgery follows": "no_verdict",
    "很多学生会选B": "no_verdict", "容易误选B": "no_verdict", "答案是B吗": "no_verdict", "答案是B？": "no_verdict",
    "B?": "no_verdict", "I would not choose B.": "no_verdict",
    "Option B is incorrect.": "no_verdict", "B is wrong": "no_verdict", "B is not correct": "no_verdict",
    "例如答案是B": "no_verdict", "B可以排除": "no_verdict", "don't pick B": "no_verdict", "<A>错误": "no_verdict",
    "选项<A>": "A",
    # Several
    "A,B": "ambiguous", "AB": "ambiguous", "A、B": "ambiguous", "A或B": "ambiguous", "A or B": "ambiguous",
    "答案是A或B": "ambiguous", "答案：A、C": "ambiguous", "The answer is A or B.": "ambiguous",
    "The answers are A and C.": "ambiguous", "<A><B>": "ambiguous",
    "A\nB": "ambiguous", "A选项正确，B选项正确": "ambiguous", "A和B都正确": "ambiguous",
    "A. 肺炎\nB. 胰腺癌\nC. 慢性胰腺炎\nD. 胆囊炎\nE. 肝硬化": "ambiguous", "答案是B。不对。": "ambiguous",
    "The answer is B. Wait, let me think again": "ambiguous",
    "A.肺炎 B.胰腺癌 C.慢性胰腺炎 D.胆囊炎": "ambiguous", "A或者C": "ambiguous", "\\boxed{A, B}": "ambiguous",
    "ABCDE": "ambiguous",
    # Several put forward, or options written out again behind a cue
    "答案是A，C还是D？需要讨论。": "ambiguous", "选A还是选B": "no_verdict",
    "答案：A. 肺炎 B. 胰腺癌 C. 慢性胰腺炎": "ambiguous", "标准答案：B\nA选项：…": "B", "回答: A: B": "ambiguous",
    "答案是C.difficile感染": "no_verdict",
    "正确答案：B\n错误答案：A": "B", "正确答案是：胰腺癌（B）": "B", "正确答案是：胰腺癌（A）": "no_verdict",
    "选项B：胰腺癌": "B", "选项B（胰腺癌）是正确的": "B", "选择B而不是C": "B", "应选C而非B": "C", "不选A，选B": "B",
    "B – 胰腺癌": "B",
    "答案：B和C都有可能，但B更好": "no_verdict", "答案应该在A和B之间选择": "no_verdict",
    "The answer is vitamin C": "no_verdict", "The diagnosis is hepatitis B.": "no_verdict",
    "最不可能的是B": "no_verdict", "错误的是B": "no_verdict", "对于A选项，答案是否定的": "no_verdict",
    "\\[\\boxed{\\text{B. 胰腺癌}}\\]": "B", "\\boxed{\\textbf{(B)}}": "B", "> **Answer: B**": "B",
    "The answer would likely be B": "B", "题目：… A. 肺炎 B. 胰腺癌 … 答：<B>": "B", "A or B?": "no_verdict",
    # Out of range, empty
    "F": "out_of_range", "<G>": "out_of_range", "答案是F": "out_of_range", "The answer is (H).": "out_of_range",
    "z": "out_of_range", "": "empty", "   \n": "empty", "<think>B": "empty", "<think>答案是B": "empty",
    "。。。": "empty", "<think></think>": "empty",
}  # fmt: skip

MULTIPLE = {
    "ABC": "ABC", "A,B,C": "ABC", "A, B, C": "ABC", "A、C": "AC", "A和C": "AC", "A, C and E": "ACE",
    "A, C, and E.": "ACE", "ABBA": "AB", "A C E": "ACE", "A;C": "AC", "A；C": "AC", "A|C": "AC", "A/C": "AC",
    "A+C": "AC", "A & C": "AC",
    "<ABD>": "ABD", "<A><C>": "AC", "<A>、<C>": "AC", "(A)(C)": "AC", "(A)、(C)": "AC", "[A, C]": "AC",
    '["A", "C"]': "AC", "**A、C**": "AC", "ＡＣ": "AC", "Ａ，Ｃ": "AC", "A\nC": "AC", "- A\n- C": "AC",
    "A\nC\nE": "ACE", "选项A、选项C": "AC",
    "B": "B", "b": "B", "a, c": "AC", "ABCDE": "ABCDE", "A,B,C,D,E": "ABCDE", "答案：A、C": "AC", "答案：ACE": "ACE",
    "答案是A和C。": "AC", "正确答案为A、C、E三项": "ACE", "故选ABC。": "ABC", "选A、B、C项": "ABC",
    "应选A、C、E。": "ACE", "答案：A，C，E": "ACE",
    "The correct answers are A, C, and E.": "ACE", "Answer: A, C": "AC", "Answers: A and C": "AC",
    "\\boxed{A, C}": "AC", "\\boxed{ACE}": "ACE", "Final answer: A, C, E": "ACE",
    "答案：\nA. 肺炎\nC. 慢性胰腺炎": "AC", "A. 肺炎\nC. 慢性胰腺炎": "AC", "A. 肺炎；C. 慢性胰腺炎": "AC",
    "A、C正确，B错误": "AC", "A、C、E均正确": "ACE", "分析：A正确。\n\n答案：A、C": "AC",
    "<think>ABCDE</think>\nAC": "AC", "答案：C\nA. 错误，因为患者无咳嗽": "C", "答案：A、C\nB. 错误": "AC",
    '{"answer": ["A", "C"]}': "AC", "首先A对。\n\nA, C": "AC", "胰腺癌": "B",
    "B. 胰腺癌": "B", "答案是A，C，但不包括D": "AC",
    "A或B": "ambiguous", "A or C": "ambiguous", "答案：A、C或E": "ambiguous",
    "A. 肺炎\nB. 胰腺癌\nC. 慢性胰腺炎\nD. 胆囊炎\nE. 肝硬化": "ambiguous", "A正确，C正确": "ambiguous",
    "ABF": "out_of_range", "A, F": "out_of_range", "答案：F": "out_of_range", "答案不是A、C": "no_verdict",
    "abc": "no_verdict", "bad": "no_verdict", "A选项和C选项提到了炎症": "no_verdict", "排除A、C": "no_verdict",
    "B族维生素和C反应蛋白": "no_verdict", "A and C are wrong": "no_verdict", "": "empty",
}  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), SINGLE.items())
def test_one_option(text, wanted):
    assert read(text) == wanted


@pytest.mark.parametrize(("text", "wanted"), MULTIPLE.items())
def test_several_options(text, wanted):
    assert read(text, multiple=True) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "B. Pancreatic cancer": "B",
        "Pancreatic cancer": "B",
        "pancreatic  cancer.": "B",
        "The answer is pancreatic cancer.": "B",
        "E. coli": "D",
        "The answer is E. coli": "D",
        "The answer is E. Cirrhosis of the liver": "E",
        "The answer is B pancreatic cancer": "B",
        "Pancreatic cancer is a malignant disease": "no_verdict",
        "B. Pancreatic cancer\n\nA. Pneumonia is unlikely. C is wrong.": "B",
        "A. Pneumonia\nB. Pancreatic cancer": "ambiguous",
    }.items(),
)
def test_option_texts_in_english(text, wanted):
    assert read(text, options=ENGLISH) == wanted


def test_two_options_with_the_same_text_are_no_verdict_by_text():
    assert read("肺炎", options=("肺炎", "肺炎", "其他")) == "ambiguous"
    assert read("A", options=("肺炎", "肺炎", "其他")) == "A"


def test_without_options_any_letter_is_in_range():
    assert read("K", options=()) == "K"
    assert read("答案是Z", options=()) == "Z"


def test_the_letter_comes_before_an_option_that_is_a_letter():
    blood = ("O", "A", "B", "AB")
    assert read("B", options=blood) == "B"
    assert read("AB", options=blood) == "D"


def test_a_verdict_far_behind_reasoning_is_found_and_one_before_the_window_is_not():
    reasoning = "患者黄疸，A选项不符合，B选项待排。" * 3000
    assert read(reasoning + "\n故选C。") == "C"
    assert read("故选C。" + reasoning[:20_000]) == "C"
    assert read("故选C。" + reasoning) == "no_verdict"


def test_the_tail_that_is_read_first_does_not_lose_what_stands_before_a_cue():
    for length in range(230, 340):
        assert read("患" * 900 + "不选B" + "者" * length) == "no_verdict", length
        assert read("患" * 900 + "。如果答案是B，" + "者" * length) == "no_verdict", length


def test_lines_under_one_another_that_only_name_options_are_no_verdict():
    assert read("A\n错误，因为……\nB\n正确，因为……") == "ambiguous"


@pytest.mark.parametrize(
    "text",
    [
        "A. aspirin\nB. nitroglycerin\nC. ticagrelor\nD.",
        "A. aspirin\nB",
        "A、阿司匹林\nB、硝酸甘油\n\nA、阿司匹林\nB、",
        "A．阿司匹林\nB．",
    ],
)
def test_a_copy_of_the_options_that_is_cut_is_no_verdict(text):
    assert extract(ChoiceForm(), text, FIVE_DRUGS).reason == "ambiguous"


@pytest.mark.parametrize("text", ["A. aspirin\nE", "A. a\nB. b\nC. c\nD. d\nE. e\nE", "B. nitroglycerin\n\nB"])
def test_a_letter_on_the_last_line_that_does_not_go_on_counting_is_one(text):
    assert extract(ChoiceForm(), text, FIVE_DRUGS).value is not None


FIVE_DRUGS = ("aspirin", "nitroglycerin", "ticagrelor", "clopidogrel", "atorvastatin")
