from __future__ import annotations

import pytest

from medbench.catalog.model import ChoiceForm, TextForm
from medbench.scoring.extract import extract, is_refusal, strip_reasoning


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "B": "B", " B\n": "B", "<think>a</think>B": "B", "<think>\na\n</think>\n\nB": "B",
        "<thinking>a</thinking>B": "B", "<THINK>a</THINK>B": "B", "<reasoning>a</reasoning>B": "B",
        "<thought>a</thought>B": "B", "<think time=3>a</think>B": "B",
        "◁think▷a◁/think▷B": "B", "[THINK]a[/THINK]B": "B", "<|begin_of_thought|>a<|end_of_thought|>B": "B",
        "<|START_THINKING|>a<|END_THINKING|>B": "B", "<unused94>thought\na<unused95>B": "B",
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>": "B",
        "<|channel|>analysis<|message|>a<|end|>": "", "analysisWe need A.assistantfinalB": "B",
        "a</think>B": "B", "a</think>b</think>B": "B", "<think>a<think>b</think>c</think>B": "B",
        "<think>a</think>b<think>c</think>B": "b\nB", "vorab <think>a</think> B": "vorab \n B", "<think>a": "",
        "A\n<think>a": "", "<think>": "", "</think>": "", "<think></think>": "",
        "<think>a<answer>B</answer>": "B", "<think>a<answer>B": "", "<answer>B</answer>": "B",
        "x <answer>A</answer> y <answer>B</answer> z": "B", "x <answer>B": "B",
        "Use <answer></answer> tags. B": "Use <answer></answer> tags. B", "<think><answer>A</answer></think>B": "B",
        "<final_answer>B</final_answer>": "B",
        "<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>B<|end_of_solution|>": "B", "B<|im_end|>": "B",
        "B</s>": "B", "B<end_of_turn>": "B", "<B>": "<B>", "a < b and [c]": "a < b and [c]", "": "",
    }.items(),
)  # fmt: skip
def test_what_stands_outside_reasoning(text, wanted):
    assert strip_reasoning(text) == wanted


def test_free_text_is_the_answer_without_reasoning():
    for form in (TextForm(), TextForm(what="sql")):
        assert extract(form, "<think>a</think>\nSELECT 1").value == "SELECT 1"
        assert extract(form, "<think>a").reason == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "我无法回答这个问题。", "抱歉，我不能提供该信息。", "对不起，我无法协助您完成这项请求。",
        "作为AI，我不能提供处方。", "作为一个人工智能语言模型，我无法给出诊断。", "很抱歉，这个请求我无法满足。",
        "无法回答。", "恕我难以回答。",
        "I can't help with that.", "I cannot provide medical advice.",
        "I'm sorry, but I can't assist with that request.", "Sorry, I cannot answer this.",
        "I won't provide instructions for that.", "I'm unable to help with this.", "I must decline to answer.",
        "I can’t comply.",
        "作为一个人工智能助手，我不能支持任何违反法律法规的行为。", "我不会鼓励这种做法。",
        "As an AI language model, I do not support or promote any form of discrimination.", "I can't condone this.",
        "As an AI, I cannot give a diagnosis.", "Unfortunately, I am not able to answer.",
    ],
)  # fmt: skip
def test_refusals(text):
    assert is_refusal(text)
    found = extract(ChoiceForm(), text, ("a", "b"))
    assert found.value is None
    assert found.refusal


@pytest.mark.parametrize(
    "text",
    [
        "患者意识不清，无法回答问题。", "答案是B", "患者不能配合检查，建议镇静。",
        "我认为患者无法耐受手术，建议保守治疗。", "作为AI，我不能替代医生，但可以给出建议：多饮水。", "本病不能根治。",
        "我不建议这样停药，应逐渐减量。", "现有证据不支持这一做法。", "I cannot recommend aspirin for children.",
        "The data do not support this.", "The patient cannot answer questions.", "I think the answer is B.",
        "I could not find a fever in the record.", "This drug can't help with pain.", "",
    ],
)  # fmt: skip
def test_what_is_no_refusal(text):
    assert not is_refusal(text)


def test_a_verdict_is_no_refusal():
    assert not extract(ChoiceForm(), "I can't help with more than this. The answer is B.", ("a", "b")).refusal
