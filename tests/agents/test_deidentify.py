"""No planted identifier leaves, and everything comes back."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.agents.governance.deidentify import Deidentified, Pseudonyms, is_local
from medbench.agents.governance.identifiers import identifiers
from medbench.items.model import Question, Turn
from medbench.items.synthetic import records
from medbench.models.chat import ChatReply, Message
from medbench.models.model import Completion, Identity, Response, ToolCall

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
GAPS = ["", " ", "-", "\u200b"]


def plain(text):
    """Without what hides a number: for comparing only."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(sign for sign in text if sign.isalnum())


@st.composite
def identity_numbers(draw):
    region = draw(st.sampled_from(["110105", "310115", "440106"]))
    born = draw(st.dates(min_value=date(1930, 1, 1), max_value=date(2020, 1, 1)))
    body = f"{region}{born:%Y%m%d}{draw(st.integers(0, 999)):03d}"
    return body + "10X98765432"[sum(int(sign) * weight for sign, weight in zip(body, WEIGHTS, strict=True)) % 11]


MOBILES = st.builds(lambda second, rest: f"1{second}{rest:09d}", st.sampled_from("3456789"), st.integers(0, 10**9 - 1))
NAMES = st.builds(
    lambda surname, given_name: surname + given_name,
    st.sampled_from("王李张刘陈杨赵周吴徐孙朱林郭罗梁宋郑谢韩唐"),
    st.sampled_from(["伟", "秀英", "小明", "建国", "静"]),
)
GIVEN = "".join(chr(0x5000 + 7 * number) for number in range(32))
ENGLISH = st.sampled_from(["John Smith", "Mary A. Jones", "Peter O'Brien", "Anna Keller"])


def spread(number, gap):
    return gap.join((number[:3], number[3:7], number[7:]))


@given(identity_numbers(), MOBILES, NAMES, ENGLISH, st.sampled_from(GAPS), st.booleans(), st.randoms())
def test_nothing_planted_leaves_and_all_of_it_comes_back(number, mobile, name, english, gap, wide, chance):
    written = "".join(chr(ord(sign) + 0xFEE0) for sign in mobile) if wide else spread(mobile, gap)
    sentences = [
        f"姓名：{name}，男。",
        f"患者{chance.choice(('', ' ', '：', ': '))}{name}，主诉头痛。",
        f"身份证号{spread(number, gap)}。",
        f"联系电话 {written}。",
        "病历号：ZY-4410233，",
        "出生日期：1961年4月7日，",
        "家庭住址：杭州市西湖区文三路90号。",
        "邮箱 q.w_3@mail.example.org ",
        f"Mr. {english} was seen. ",
        "MRN: 00988123, ",
        "DOB 04/07/1961. ",
    ]
    chance.shuffle(sentences)
    text = "".join(sentences)
    pseudonyms = Pseudonyms()
    hidden = pseudonyms.hide(text)
    for planted in (
        number,
        mobile,
        name,
        "4410233",
        "文三路",
        "q.w_3",
        english,
        "00988123",
        "04/07/1961",
        "1961年4月7日",
    ):
        assert plain(planted) not in plain(hidden), hidden
    assert pseudonyms.restore(hidden) == text


@pytest.mark.parametrize(
    "text",
    [
        "患者，女，45岁，血压130/80 mmHg，体温38.5℃。",
        "患者高血压病史5年，白细胞升高；病人黄疸，患者于昨日入院。",
        "患者：高血压病史5年。病人: 黄疸，患者 于昨日入院；患者：女，45岁。",
        '{"code": {"text": "MG"}, "valueQuantity": {"value": 1.8, "unit": "mg/dL"}}',
        "Patient Denies pain. Potassium 4.1 mmol/L on 2023-11-15.",
        "A 45-year-old man with fever for 3 days; HbA1c 7.2 %.",
        "110105194912310021 has a wrong check digit",
        "Patient: Male, 54. Patient: CT ABDOMEN. Patient HIV DNA. Name: ECG. Mr. and Mrs.",
        "患者：男，54岁。患者：老年男性，65岁。患者：头痛，发热。患者：没有。患者：谢谢。患者 出现头痛",
        "患者：腹泻呕吐，5岁。患者：头晕乏力，男。患者：咽干口渴，45岁。病人：咳嗽，3岁",
        "患者姓名不详；姓名：不详；姓名 性别 年龄；| 姓名 | 性别 |；患者头痛·恶心·呕吐",
        "Drug name: Aspirin 100 mg. 患者：雷公藤，柴胡",
        '{"name": "RequestPreoperativeBed"}',
        '{"name": {"use": "usual"}, "maritalStatus": {"text": "Married"}}',
    ],
)
def test_what_names_nobody_stays(text):
    assert Pseudonyms().hide(text) == text


@pytest.mark.parametrize(
    "said", ["患者：{}，", "患者: {} 因头痛入院", "病人：{}。", "患者 {}", "家属：{}，女", "患者\u3000{}，"]
)
def test_a_name_behind_its_cue_is_hidden_however_they_are_set_apart(said):
    assert Pseudonyms().hide(said.format("李小明")) == said.format("[NAME_1]")


SURE = [
    "Mr. {}",
    "Mrs {} was seen",
    "Patient name: {}, 54",
    "PATIENT NAME: {}",
    "Name: {}.",
    "My name is {}",
    "Patient: {}",
]
ONE_NAMES = ["O'Brien", "McDonald", "SMITH", "Müller", "Jean-Luc", "D’Angelo", "DeShawn", "Garci\u0301a", "ЧЕХОВ"]
MORE_NAMES = [
    *("José García", "Jean-Luc Picard", "Nguyen Thi Minh Khai", "JOHN SMITH", "ZHANG San", "Ludwig van Beethoven"),
    *("J. R. O'Neil", "Anne-Marie St. John", "Иван Петров", "John F Kennedy"),
]


@given(st.sampled_from(SURE), st.sampled_from(ONE_NAMES + MORE_NAMES))
def test_a_name_in_latin_letters_is_hidden_whole(said, name):
    if name in ONE_NAMES and said in SURE[-2:]:
        return  # where other words stand as well, one with a capital is no sign of a name
    pseudonyms = Pseudonyms()
    assert pseudonyms.hide(said.format(name)) == said.format("[NAME_1]")
    assert pseudonyms.restore(said.format("[NAME_1]")) == said.format(name)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("患者：滕子京", "患者：[NAME_1]"),
        ("病人：褚时健，因", "病人：[NAME_1]，因"),
        ("患者：阿依古丽·买买提，女", "患者：[NAME_1]，女"),
        ("患者阿依古丽·买买提因头痛入院", "患者[NAME_1]因头痛入院"),
        ("患者：尼玛次仁，男，45岁", "患者：[NAME_1]，男，45岁"),
        ("姓名 张三", "姓名 [NAME_1]"),
        ("患者姓名 张三 男", "患者姓名 [NAME_1] 男"),
        ("姓名：张三男45岁", "姓名：[NAME_1]男45岁"),
        ("| 姓名 | 张三 |", "| 姓名 | [NAME_1] |"),
        ("姓 名：张 三，张三好转", "姓 名：[NAME_1]，[NAME_2]好转"),
        ("Patient Name John Smith DOB", "Patient Name [NAME_1] DOB"),
        ("Mr. Smith's wife", "Mr. [NAME_1]'s wife"),
        ("Mr. Jos, then José", "Mr. [NAME_1], then José"),
        ('{"name":[{"given":["三"],"text":"张三"}]}', '{"name":[{"given":["[NAME_1]"],"text":"[NAME_2]"}]}'),
        ('{"name": {"period": {"start": "2001"}, "text": "Zoë"}}', None),
    ],
)
def test_a_name_is_hidden_whole_behind_every_form_of_its_cue(text, hidden):
    pseudonyms = Pseudonyms()
    given_away = pseudonyms.hide(text)
    assert given_away == (hidden or text.replace("Zoë", "[NAME_1]"))
    assert pseudonyms.restore(given_away) == text


@given(
    st.lists(
        st.sampled_from(
            [
                *ONE_NAMES,
                *MORE_NAMES,
                "Mr. ",
                "Patient: ",
                "患者：",
                "姓名 ",
                "张 三",
                "·",
                "'",
                "-",
                ", ",
                " ",
                "男",
                "s",
                "A",
            ]
        )
    )
)
def test_whatever_stands_together_comes_back(pieces):
    text = "".join(pieces)
    pseudonyms = Pseudonyms()
    assert pseudonyms.restore(pseudonyms.hide(text)) == text


@pytest.mark.parametrize(
    "piece",
    [
        "Mr. A",
        "Mr. O'",
        "Mr. Anna-Anna de ",
        "Patient: A. ",
        "姓 名",
        "患者：张·",
        "张·",
        '"name":[{',
        "A. de la ",
        "\u0301",
    ],
)
def test_searching_takes_linear_time(piece):
    def seconds(size):
        text = piece * (size // len(piece))
        began = time.process_time()
        for _ in identifiers(text):
            pass
        return time.process_time() - began

    # Work grows with the text: sixteen times as long is far less than quadratic's 256 times.
    assert seconds(160_000) < 60 * max(seconds(10_000), 0.005)


def as_text(value):
    return json.dumps(value, ensure_ascii=False)


def test_records_and_tasks_of_the_environment_name_nobody():
    items, media = records.make(random.Random(1))
    written = media[records.RECORDS].decode()
    patients = [each for each in map(json.loads, written.splitlines()) if each["resourceType"] == "Patient"]
    named = {
        text
        for each in patients
        for text in (each["id"], each["birthDate"], each["name"][0]["family"], each["name"][0]["given"][0])
    }
    for text in (written, as_text({"body": written}), as_text([as_text({"body": written})])):
        pseudonyms = Pseudonyms()
        hidden = pseudonyms.hide(text)
        assert [each for each in named if each in hidden] == []
        assert pseudonyms.restore(hidden) == text
    for item in items:
        hidden = Pseudonyms().hide(item["question"])
        assert [each for each in named if each in hidden] == [], hidden


def test_a_record_with_several_names_and_numbers_is_hidden_and_stays_json():
    patient = {
        "identifier": [
            {"use": "usual", "type": {"coding": [{"code": "MR"}]}, "system": "urn:x", "value": "S6534835"},
            {"value": "Q-77-1"},
        ],
        "name": [{"family": "Stafford", "given": ["Peter", "Mary Ann"]}, {"family": "王", "given": ["伟"]}],
        "birthDate": "1932-12-29",
        "note": "王伟: 黄疸, 国王, Peterson",
    }
    hidden = Pseudonyms().hide(json.dumps(patient, ensure_ascii=False, indent=1))
    read = json.loads(hidden)
    for planted in ("S6534835", "Q-77-1", "Stafford", '"Peter"', "Mary", '"王"', '"伟"', "1932"):
        assert planted not in hidden
    assert read["note"].endswith("]: 黄疸, 国王, Peterson")
    assert read["name"][0]["family"].startswith("[NAME_")


def test_numbers_of_many_records_in_a_row_are_all_hidden():
    numbers = [f"Q-{number:03}-Z" for number in range(60)]
    records = [{"identifier": [{"system": "urn:x" * (place % 40), "value": number}]}
               for place, number in enumerate(numbers)]  # fmt: skip
    hidden = Pseudonyms().hide(json.dumps(records))
    assert [number for number in numbers if number in hidden] == []


def test_one_identifier_has_one_placeholder_and_one_that_is_in_the_text_is_not_taken():
    pseudonyms = Pseudonyms()
    hidden = pseudonyms.hide("[NAME_1] 姓名：王小明。王小明的母亲：患者李秀英，")
    assert hidden.count("[NAME_2]") == 2
    assert "[NAME_3]" in hidden
    assert pseudonyms.hide("再次见到王小明") == "再次见到[NAME_2]"


class Plain(Pseudonyms):
    """The same by one pattern of all identifiers, the longest first, and one replacement after the other."""

    def _replaced(self, text):
        known = sorted(self._placeholders, key=len, reverse=True)
        whole = [
            (r"(?<![A-Za-z0-9])" if re.match("[A-Za-z0-9]", found) else "")
            + re.escape(found)
            + (r"(?![A-Za-z0-9])" if re.search(r"[A-Za-z0-9]\Z", found) else "")
            for found in known
        ]
        return re.sub("|".join(whole), lambda match: self._placeholders[match[0]], text) if known else text

    def restore(self, text):
        for found, placeholder in self._placeholders.items():
            text = text.replace(placeholder, found)
        return text


SHORT_NAMES = st.sampled_from(["王小", "王小明", "王小明明", "Ann Lee", "Ann Lee Park", "A1-00", "A1-0099"])
PIECES = st.one_of(
    st.builds("姓名：{}，".format, SHORT_NAMES),
    st.builds("Name: {}. ".format, SHORT_NAMES),
    st.builds("MRN: {}, ".format, SHORT_NAMES),
    st.builds("家庭住址：杭州市{}路9号。".format, SHORT_NAMES),
    SHORT_NAMES,
    NAMES,
    st.sampled_from(["[NAME_1]", "[RECORD_2", "]", "x", "9", "，", " ", "[ADDRESS_1]"]),
)


@given(st.lists(st.lists(PIECES, max_size=8).map("".join), min_size=1, max_size=3))
def test_identifiers_are_replaced_as_by_one_pattern_of_all_of_them(texts):
    pseudonyms, plain = Pseudonyms(), Plain()
    for text in texts:
        pseudonyms.find(text)
        plain.find(text)
    for text in texts:
        hidden = pseudonyms.hide(text)
        assert hidden == plain.hide(text)
        assert pseudonyms.restore(hidden) == plain.restore(hidden)
        # A text that has a placeholder of an earlier one can't be told from it.
        assert len(texts) > 1 or pseudonyms.restore(hidden) == text


def test_ten_thousand_names_take_hardly_longer_than_ten():
    def seconds(count):
        names = [f"{first}{second}{third}" for first in "王李张刘陈杨赵周吴徐" for second in GIVEN for third in GIVEN]
        chosen = "".join(f"姓名：{name}，" for name in names[:count])
        text = chosen + "血压平稳，继续观察。" * ((100_000 - len(chosen)) // 10)
        pseudonyms = Pseudonyms()
        began = time.process_time()
        assert pseudonyms.restore(pseudonyms.hide(text)) == text
        return time.process_time() - began

    assert seconds(10_000) < 6 * seconds(10)


class Recorder:
    """A model that answers with what it was sent last."""

    def __init__(self, spec, endpoint):
        self.identity = Identity(spec=spec, name="m", endpoint=endpoint)
        self.sent = []

    async def answer(self, question, context):
        self.sent.append((*question.turns, Turn("user", context.prompt)))
        return Response("ok", f"about {context.prompt}", reasoning=question.text)

    async def chat(self, messages, context, *, tools=(), parameters=None):
        self.sent.append(messages)
        said = messages[-1].content
        return ChatReply(
            Completion("ok", f"about {said}", tool_calls=(ToolCall("find", f'{{"q": "{said}"}}'),)), 1, False
        )


def ask(model, *contents):
    return asyncio.run(model.chat([Message("user", content) for content in contents], None))


def test_a_remote_model_never_sees_an_identifier_and_the_caller_never_a_placeholder():
    recorder = Recorder("openai:m", "https://api.example.com/v1")
    model = Deidentified(recorder)
    reply = ask(model, "姓名：王小明", "王小明怎么样？")
    second = ask(model, "姓名：王小明", "王小明怎么样？", "再说说王小明")
    assert all("王小明" not in message.content for sent in recorder.sent for message in sent)
    assert recorder.sent[0][1] == recorder.sent[1][1], "the same from turn to turn"
    assert reply.completion.text == "about 王小明怎么样？"
    assert second.completion.tool_calls[0].arguments == '{"q": "再说说王小明"}'


@pytest.mark.parametrize(
    ("spec", "endpoint", "local"),
    [
        ("local:smollm2", "", True),
        ("openai:m", "http://127.0.0.1:8000/v1", True),
        ("openai:m", "http://[::1]:8000/v1", True),
        ("openai:m", "https://127.0.0.1.example.com/v1", False),
        ("plugin:m", "", False),
        ("openai:m", "http://llm.ward.internal/v1", False),
    ],
)
def test_only_this_machine_is_local(spec, endpoint, local):
    assert is_local(Identity(spec=spec, name="m", endpoint=endpoint)) is local


def test_a_hospital_names_its_own_servers():
    recorder = Recorder("openai:m", "http://llm.ward.internal/v1")
    ask(Deidentified(recorder, frozenset({"llm.ward.internal"})), "姓名：王小明")
    assert recorder.sent[0][0].content == "姓名：王小明"


class Asked:
    """A context of which nothing but the prompt is looked at."""

    def __init__(self, prompt):
        self.prompt = prompt


@pytest.mark.parametrize(("endpoint", "hidden"), [("https://api.example.com/v1", True), ("http://localhost/v1", False)])
def test_an_item_is_answered_without_what_names_its_patient(endpoint, hidden):
    recorder = Recorder("openai:m", endpoint)
    item = Question(
        "1", "MedTreat", "王小明怎么办？", turns=(Turn("user", "姓名：王小明"),), meta={"patient": "王小明"}
    )
    response = asyncio.run(Deidentified(recorder).answer(item, Asked("王小明怎么办？")))
    sent = "".join(turn.content for turn in recorder.sent[0])
    assert ("王小明" not in sent, "[NAME_1]" in sent) == (hidden, hidden)
    assert (response.text, response.reasoning) == ("about 王小明怎么办？", "王小明怎么办？")
