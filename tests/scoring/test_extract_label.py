from __future__ import annotations

import pytest

from medbench.catalog.model import LabelForm
from medbench.scoring.extract import extract

INTENTS = (
    "病情咨询",
    "用药咨询",
    "费用争议投诉",
    "服务态度投诉",
    "单次费用查询",
    "住院费用查询",
    "费用查询",
    "检验报告解读",
)
DEPARTMENTS = ("头颈外科", "胸外科", "消化内科", "呼吸内科", "急诊科", "血液科", "淋巴瘤科", "超声诊断科", "内科")
INTENT = LabelForm(labels=INTENTS, synonyms={"收费投诉": "费用争议投诉"})
DIAGNOSIS = LabelForm()
PANCREAS = ("慢性胰腺炎", "胰腺癌", "胰腺囊性肿瘤", "无病变")
ENGLISH = LabelForm(labels=("Heart failure", "Asthma", "COPD"), synonyms={"cardiac failure": "Heart failure"})
OUTCOME = LabelForm(labels=("治愈", "好转", "未愈", "死亡"), within="预测结局")
TRIAGE = LabelForm(multiple=True)
FILM = LabelForm(
    labels=("伪影位于肺野内", "体位不正", "偏中心", "无左右标识", "吸气不足"),
    multiple=True,
    none_label="无问题",
    synonyms={"未见问题": "无问题"},
)
REPORT = LabelForm(
    labels=("多字或少字", "错别字", "单位错误", "性别错误"), multiple=True, correction_keys=("错误类型", "修改建议")
)


def read(form: LabelForm, text: str, options: tuple[str, ...] = ()) -> str:
    found = extract(form, text, options)
    if found.value is None:
        assert found.reason
        return found.reason
    assert not found.reason
    return "|".join(sorted(found.value))


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "费用争议投诉": "费用争议投诉", "费用争议投诉。": "费用争议投诉", "“费用争议投诉”": "费用争议投诉",
        "**费用争议投诉**": "费用争议投诉", "【费用争议投诉】": "费用争议投诉", " 费用 争议投诉\n": "费用争议投诉",
        "```\n费用争议投诉\n```": "费用争议投诉",
        "意图标签：费用争议投诉": "费用争议投诉", "意图：费用争议投诉。": "费用争议投诉",
        "答案是费用争议投诉": "费用争议投诉", "收费投诉": "费用争议投诉", "意图标签：收费投诉": "费用争议投诉",
        "最终答案：住院费用查询": "住院费用查询", "费用查询": "费用查询",
        "意图标签：住院费用查询": "住院费用查询", "不是服务态度投诉而是费用争议投诉": "费用争议投诉",
        "不是服务态度投诉，而是费用争议投诉。": "费用争议投诉", "属于**费用争议投诉**。": "费用争议投诉",
        "该意图应为费用争议投诉，因为患者对费用不满": "费用争议投诉",
        "该对话的意图类别为“费用争议投诉”。": "费用争议投诉", "应选费用争议投诉": "费用争议投诉",
        "归类为费用争议投诉。": "费用争议投诉", '{"意图": "费用争议投诉"}': "费用争议投诉",
        '```json\n{"label": "费用争议投诉"}\n```': "费用争议投诉",
        "患者先提到用药咨询，后来抱怨收费。\n\n费用争议投诉": "费用争议投诉",
        "费用争议投诉\n\n理由：患者对收费不满，不属于服务态度投诉。": "费用争议投诉",
        "意图标签：用药咨询。\n更正后，意图标签：病情咨询。": "病情咨询",
        "<think>用药咨询？</think>病情咨询": "病情咨询",
        "意图标签：费用争议投诉（患者对收费不满）": "费用争议投诉",
        "费用争议投诉。患者认为收费不合理。": "费用争议投诉", "费用争议投诉、费用争议投诉": "费用争议投诉",
        "病情咨询、用药咨询、费用争议投诉、服务态度投诉、单次费用查询、住院费用查询、检验报告解读": "ambiguous",
        "费用争议投诉、服务态度投诉": "ambiguous", "费用争议投诉或服务态度投诉": "ambiguous",
        "意图标签：费用争议投诉、服务态度投诉": "ambiguous", "意图标签：费用争议投诉/服务态度投诉": "ambiguous",
        "可能是费用争议投诉，也可能是服务态度投诉": "ambiguous", "费用争议投诉\n服务态度投诉": "ambiguous",
        "其他投诉": "unknown_label", "收费标准": "unknown_label", "患者提到了费用争议投诉这个词。": "no_verdict",
        "不属于费用争议投诉": "no_verdict", "排除费用争议投诉": "no_verdict",
        "患者情绪激动，要求退款，建议由专人与其沟通并核实收费明细后答复。": "no_verdict", "": "empty",
        "意图是门诊费用查询相关问题的处理": "no_verdict",
    }.items(),
)  # fmt: skip
def test_one_label_of_the_form(text, wanted):
    assert read(INTENT, text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "胰腺癌": "胰腺癌", "考虑胰腺癌。": "胰腺癌", "诊断：胰腺囊性肿瘤": "胰腺囊性肿瘤",
        "最可能的诊断是胰腺癌，而不是慢性胰腺炎。": "胰腺癌", "既往诊断为慢性胰腺炎。本次考虑胰腺癌。": "胰腺癌",
        "排除慢性胰腺炎，考虑胰腺癌": "胰腺癌", "胰腺癌。理由：……": "胰腺癌",
        "无病变": "无病变", "影像提示胰腺癌。": "胰腺癌", "综上所述，胰腺癌。": "胰腺癌",
        "诊断结果：**胰腺癌**\n\n患者有慢性胰腺炎病史。": "胰腺癌",
        "患者有慢性胰腺炎病史，需要进一步检查。": "no_verdict", "慢性胰腺炎可以引起腹痛。": "no_verdict",
        "入院诊断：慢性胰腺炎": "no_verdict",
        "胰腺癌或慢性胰腺炎": "ambiguous", "考虑胰腺癌，也考虑慢性胰腺炎": "ambiguous", "胆囊炎": "unknown_label",
        "不考虑胰腺癌": "no_verdict",
    }.items(),
)  # fmt: skip
def test_one_label_of_the_item(text, wanted):
    assert read(DIAGNOSIS, text, PANCREAS) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "heart failure": "Heart failure", "Heart Failure.": "Heart failure", "Cardiac failure": "Heart failure",
        "The diagnosis is COPD.": "COPD", "Diagnosis: **Asthma**": "Asthma",
        "The answer is: heart  failure": "Heart failure", "not asthma but COPD": "COPD",
        "The most likely diagnosis is heart failure because of edema.": "Heart failure",
        "I would classify this as asthma.": "Asthma", "Asthma is common in children.": "no_verdict",
        "The patient has a history of asthma.": "no_verdict", "It is not asthma.": "no_verdict",
        "Asthma or COPD": "ambiguous",
        "asthmatic": "unknown_label", "The diagnosis is COPD, not asthma.": "COPD",
        "COPD\n\nAsthma is less likely.": "COPD",
    }.items(),
)  # fmt: skip
def test_one_label_in_english(text, wanted):
    assert read(ENGLISH, text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        '{"预测结局": "好转", "理由": "仍可能未愈"}': "好转", '```json\n{"预测结局":"治愈","理由":"x"}\n```': "治愈",
        '"answer": {"预测结局": "未愈", "理由": "x"}': "未愈", "预测结局：好转": "好转",
        "预测结局：好转，因为患者病情稳定": "好转", '{"预测结局": "未愈", "理由": "他说"不行"了"}': "未愈",
        "好转": "好转", "**预测结局**：死亡\n理由：……": "死亡", "预测结局为治愈。": "治愈",
        '{“预测结局”：“治愈”}': "治愈", '{"预测结局": "好转。"}': "好转",
        '{"预测结局": "未愈"} \n更正：{"预测结局": "好转"}': "好转", '{"预测结局": ["好转"]}': "好转",
        "预测结局：治愈/好转": "ambiguous", '{"预测结局": "治愈或好转"}': "ambiguous",
        "可选：治愈、好转、未愈、死亡": "ambiguous", '{"预测结局": "痊愈"}': "unknown_label",
        "患者预后不好，需要密切观察，必要时转入重症监护室。": "no_verdict", "": "empty",
    }.items(),
)  # fmt: skip
def test_a_label_within_json(text, wanted):
    assert read(OUTCOME, text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "消化内科、呼吸内科": "呼吸内科|消化内科", "消化内科": "消化内科", "消化内科,急诊科": "急诊科|消化内科",
        "消化内科，急诊科。": "急诊科|消化内科", "消化内科；急诊科": "急诊科|消化内科",
        "消化内科|急诊科": "急诊科|消化内科", "消化内科/急诊科": "急诊科|消化内科",
        "消化内科\n急诊科": "急诊科|消化内科",
        "1. 消化内科\n2. 急诊科": "急诊科|消化内科", "1、消化内科\n2、急诊科": "急诊科|消化内科",
        "- 消化内科\n- 急诊科": "急诊科|消化内科", "推荐科室：消化内科、急诊科": "急诊科|消化内科",
        "**推荐科室**：消化内科、急诊科\n\n理由：腹痛": "急诊科|消化内科", "消化内科和急诊科": "急诊科|消化内科",
        "消化内科、呼吸内科和急诊科": "呼吸内科|急诊科|消化内科",
        "1. **消化内科**：因为腹痛，反酸\n2. **急诊科**：若加重": "急诊科|消化内科",
        "建议您就诊消化内科、急诊科。": "急诊科|消化内科", "根据您的症状，建议挂消化内科。": "消化内科",
        "消化内科（首选）、急诊科": "急诊科|消化内科", '["消化内科", "急诊科"]': "急诊科|消化内科",
        '{"科室": ["消化内科", "急诊科"]}': "急诊科|消化内科",
        "患者腹痛。\n\n消化内科、急诊科": "急诊科|消化内科", "消化内科、急诊科\n\n理由：腹痛": "急诊科|消化内科",
        "消化内科、消化内科": "消化内科", "<think>血液科？</think>消化内科": "消化内科",
        "推荐科室：血液科\n更正，推荐科室：消化内科": "消化内科",
        "消化内科、感染科": "感染科|消化内科", "推荐科室：感染科、消化内科": "感染科|消化内科",
        "消化内科或急诊科": "ambiguous", "建议就诊感染科、消化内科或急诊科。": "ambiguous", "感染科": "unknown_label",
        "我不知道": "unknown_label", "不建议挂消化内科": "no_verdict", "": "empty",
        "患者曾在消化内科就诊，未见好转，请结合临床。": "no_verdict",
    }.items(),
)  # fmt: skip
def test_a_set_of_labels(text, wanted):
    assert read(TRIAGE, text, DEPARTMENTS) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "无问题": "", "无问题。": "", "未见问题": "", "该胸片无问题。": "", "答：无问题": "",
        "体位不正|偏中心": "体位不正|偏中心", "'体位不正'|'偏中心'": "体位不正|偏中心", "无左右标识": "无左右标识",
        "存在的问题：体位不正、无左右标识": "体位不正|无左右标识", "体位不正": "体位不正",
        "存在体位不正、偏中心。": "体位不正|偏中心",
        "无问题|体位不正": "ambiguous", "体位不正、无问题": "ambiguous", "未见体位不正、偏中心": "ambiguous",
        "不存在体位不正": "no_verdict", "旋转": "unknown_label", "体位不正|旋转": "体位不正|旋转",
    }.items(),
)  # fmt: skip
def test_a_label_for_the_empty_set(text, wanted):
    assert read(FILM, text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        '{"错别字": "描述：a"}': "错别字",
        '```json\n{"错别字": "描述：a", "单位错误": "诊断：b"}\n```': "单位错误|错别字",
        '[{"错误类型": "错别字", "修改建议": "x"}, {"错误类型": "单位错误", "修改建议": "y"}]': "单位错误|错别字",
        '[{"错别字": "x"}, {"单位错误": "y"}]': "单位错误|错别字",
        "{}": "", "[]": "", "```json\n[]\n```": "", "经检查，不存在问题：\n{}": "",
        '{"错误类型": "错别字", "修改建议": "x"}': "错别字",
        '{"问题": [{"错误类型": "错别字", "修改建议": "x"}]}': "错别字", '{"问题": []}': "",
        '{"错别字": "a", "错别字": "b"}': "错别字", '{"错别字": ["a", "b"]}': "错别字",
        '[{"错误类型": "错别字", "修改建议": "x"}, {"错误类型": "错别字", "修改建议": "y"}]': "错别字",
        '[{"错误类型": "错别字、单位错误", "修改建议": "x"}]': "单位错误|错别字",
        '[{"错误类型": "多字或少字", "修改建议": "x"}]': "多字或少字", '{"排版错误": "x"}': "排版错误",
        '[{"错误类型": "排版错误", "修改建议": "x"}, {"错误类型": "错别字", "修改建议": "x"}]': "排版错误|错别字",
        '[{"错误类型"：“错别字”，"修改建议": "x"}]': "not_json", '｛"错别字"："x"｝': "错别字",
        '报告[1]如下：\n[{"错误类型": "错别字", "修改建议": "x"}]': "错别字",
        '草稿 {"单位错误": "x"}\n最终 {"错别字": "x"}': "错别字",
        '[{"错误类型": "错别字", "修改建议": "x"}, {"错误类型": "单位': "not_json", '{"错别字": x}': "not_json",
        "没有问题": "not_json", "存在错别字": "not_json", "": "empty",
    }.items(),
)  # fmt: skip
def test_corrections(text, wanted):
    assert read(REPORT, text) == wanted


def test_labels_that_hold_a_separator_stay_whole():
    form = LabelForm(labels=("耳鼻喉/头颈外科", "肝、胆外科", "急诊科"), multiple=True)
    assert read(form, "耳鼻喉/头颈外科、急诊科") == "急诊科|耳鼻喉/头颈外科"
    assert read(form, "肝、胆外科、急诊科") == "急诊科|肝、胆外科"


def test_forms_that_are_equal_but_not_the_same_do_not_share_a_grammar():
    for count in range(1, 30):
        form = LabelForm(labels=tuple(f"标签{number}号" for number in range(count)))
        assert read(form, f"标签{count - 1}号") == f"标签{count - 1}号"
        assert read(form, f"标签{count}号") == "unknown_label"
