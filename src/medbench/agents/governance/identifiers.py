"""What names a person in a text: numbers, names, dates of birth and addresses, by their form or by what stands before.

Identity numbers have their check digit (GB 11643-1999), telephone numbers and e-mail their form; names, record numbers,
dates of birth and addresses are found behind a cue such as 姓名, 患者, `Mr.` or `MRN`, and under the keys of a FHIR
`Patient` (`family`, `given`, the `text` of a `name`, `birthDate`, `identifier`), also in JSON within JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
# Between the signs of a number: what people and forms write there, and what hides it.
_GAP = "[-\u2010-\u2015. \u00a0\u3000\u200b-\u200d\u2060\ufeff]{0,2}"
_NO_DIGIT_BEFORE, _NO_DIGIT_AFTER = r"(?<![\dA-Za-z])", r"(?![\dA-Za-z])"
_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
    "范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段钱汤尹黎易常武乔贺赖龚文"
    "滕褚裴翁娄佘俞倪虞柯骆樊霍詹喻邢阮覃聂瞿殷庄邬鞠洪严欧葛鲁饶耿颜岑蔺闫雷莫阚屠璩冼"
)
_TWO_SIGNS = "欧阳|司马|上官|诸葛|夏侯|皇甫|尉迟|公孙|慕容|令狐|长孙|宇文|司徒"
# What begins with a surname behind 患者 and is no name.
_NO_NAME = (
    "高血|高热|高烧|高龄|高脂|高钾|高钠|高钙|高危|高度|白细|白蛋|白血|白带|白癜|黄疸|黄染|马上|于|何时|何种|何|常有|常规|常伴|"
    "常|任何|方便|方可|万一|文化|金黄|石膏|江|余|曾有|曾因|曾于|曾行|曾患|曾|夏季|龙|易|毛细|方|许多|段|程度|文|武|温|田|常年|顾虑|康复|邓|"
    "安静|胡言|汤|钟|田|史|雷诺|雷公|霍乱|霍奇|葛根|严重|严格|谢谢|多谢|严密|洪亮|颜面|莫名|庄严"
)
_NAME_END = r"(?=$|[\s,，、。;；:：(（)）男女]|先生|女士|同志|主诉|因|于|诉|的|今|昨|现|就诊|入院|出院|住院|来)"
_ZH_NAME = rf"(?:(?:{_TWO_SIGNS})[\u4e00-\u9fff·]{{1,2}}|[{_SURNAMES}][\u4e00-\u9fff]{{1,2}})"
_ZH_SPACED = (
    rf"[{_SURNAMES}][ \u3000](?![男女])[\u4e00-\u9fff](?:[ \u3000]?(?![男女])[\u4e00-\u9fff])?(?![\u4e00-\u9fff])"
)
_DOTTED_SIGN = r"(?:(?![痛热症病咳吐泻肿痒])[\u4e00-\u9fff])"  # else lists of signs, set apart by dots, were names
_ZH_DOTTED = rf"{_DOTTED_SIGN}{{1,8}}(?:[·•・‧]{_DOTTED_SIGN}{{1,8}}){{0,2}}[·•・‧]{_DOTTED_SIGN}{{1,8}}?"
# What stands where a name is asked for and is none.
_NO_ZH_NAME = (
    "姓名|患者|病人|性别|年龄|不详|未知|保密|匿名|同上|暂无|未填|未提供|无名|科室|床号|住院|门诊|病历|出生|电话|民族"
)
_CAPITAL, _SMALL = "A-ZÀ-ÖØ-ÞĀ-ɏḀ-ỿΑ-ΫЀ-Я", "a-zß-öø-ɏḀ-ỿά-ώа-џ\u0300-\u036f"
_LETTER = f"{_CAPITAL}{_SMALL}"
# `Smith`, `McDonald`, `SMITH`: no other word with capitals within, as the name of an API is.
_PIECE = (
    rf"(?:(?:Mc|Mac|De|Di|Du|La|Le|Fitz|Van|Von)?[{_CAPITAL}][{_SMALL}]{{1,20}}(?![{_LETTER}])"
    rf"|[{_CAPITAL}\u0300-\u036f]{{2,20}}(?![{_LETTER}]))"
)
# What may follow a name, or a cue, with a capital and is no name.
_NO_PART = (
    r"(?!(?i:male|female|man|woman|boy|girl|age|aged|sex|gender|dob|date|born|birth|mrn|id|ssn|phone|tel|mobile|email"
    r"|address|diagnos[ei]s|history|chief|complaints?|presents?|presented|presenting|denie[sd]|reports?|reported"
    r"|complains?|complained|admitted|diagnosed|treated|taking|takes|was|is|has|had|and|or|with|the|of|for|from|in|on|at"
    r"|to|who|came|unknown|none|not|no|acute|chronic|severe|mild|health|medical|safety|care|information|education|name"
    r"|patient|ct|mri|mr|ecg|ekg|icu|hiv|bp|hr|room|ward|bed|number|type|status|allergies|medications?|weight|height)"
    rf"(?![{_LETTER}]))"
)
_END_OF_WORD = rf"(?![{_LETTER}])"
_JOINED = rf"['’\-](?:{_PIECE}|(?!s{_END_OF_WORD})[{_SMALL}]{{1,20}}{_END_OF_WORD})"
_WORD = rf"{_NO_PART}(?:[A-Za-z]['’])?{_PIECE}(?:{_JOINED}){{0,3}}"
_FURTHER = (
    rf" (?:[{_CAPITAL}]\.?(?= [{_CAPITAL}])|St\. {_WORD}"
    rf"|(?:(?:de|del|della|der|den|van|von|da|das|do|dos|di|du|la|le|bin|bint|ibn|al|el|ter|y) ){{0,2}}{_WORD})"
)
_INITIALS = rf"(?:[{_CAPITAL}]\. ?){{0,3}}"
_EN_NAME = rf"{_INITIALS}{_WORD}(?:{_FURTHER}){{0,5}}"
_EN_NAME_OF_TWO = rf"(?:{_INITIALS}{_WORD}(?:{_FURTHER}){{1,5}}|(?:[{_CAPITAL}]\. ?){{1,3}}{_WORD})"
# Abbreviations stand in capitals where a name might.
_NO_ABBREVIATION = rf"(?![{_CAPITAL}]{{2,20}}(?![{_LETTER}]))"
_NOT_SHORT = rf"(?![{_CAPITAL}]{{2,3}}(?![{_LETTER}]| [{_CAPITAL}]))"
_DATE = (
    r"(?:\d{4}\s?[-/.年]\s?\d{1,2}\s?[-/.月]\s?\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
    r"|\d{1,2} [A-Z][a-z]{2,8},? \d{4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4}|(?<!\d)\d{8}(?!\d))"
)
_CUE_END = r"\\{0,4}[\"'”」]?\s{0,2}(?:[:：=是为]|is\b)?\s{0,2}\\{0,4}[\"'“「]?"
_SET_APART = re.compile(r"(?:[\u4e00-\u9fff]\s?)+")
# Each pattern is bounded everywhere, so that searching is linear.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("EMAIL", r"(?<![\w.+-])[\w.+-]{1,64}[@＠][A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}"),
        ("ID", rf"{_NO_DIGIT_BEFORE}(?:\d{_GAP}){{17}}[\dXxＸｘ]{_NO_DIGIT_AFTER}"),
        (
            "ID",
            rf"(?:身份证(?:号码?)?|证件号码?|\bID(?: card)?(?: number)?){_CUE_END}((?:[\dA-Z]{_GAP}){{6,18}}[\dXx*])",
        ),
        (
            "PHONE",
            rf"{_NO_DIGIT_BEFORE}(?:[+＋]?8{_GAP}6{_GAP})?[1１]{_GAP}[3-9３-９](?:{_GAP}\d){{9}}{_NO_DIGIT_AFTER}",
        ),
        ("PHONE", rf"{_NO_DIGIT_BEFORE}[(（]?0\d{{2,3}}[)）]?[-– ]\d{{7,8}}{_NO_DIGIT_AFTER}"),
        ("PHONE", rf"{_NO_DIGIT_BEFORE}(?:\+?1[-. ])?\(?[2-9]\d{{2}}\)?[-. ]\d{{3}}[-. ]\d{{4}}{_NO_DIGIT_AFTER}"),
        (
            "PHONE",
            rf"(?:电话|手机号?|联系方式|(?i:phone|tel|mobile)(?: number)?){_CUE_END}([+\d](?:{_GAP}[\d()]){{6,15}})",
        ),
        (
            "RECORD",
            r"(?:病历号?|住院号|门诊号|就诊卡号?|病案号|医保卡?号|患者ID|病人ID"
            r"|(?i:MRN|medical record (?:number|no\.?)|patient ID|record number))"
            rf"{_CUE_END}[#＃]?([A-Za-z]{{0,4}}-?\d[\dA-Za-z-]{{2,18}})",
        ),
        ("RECORD", r"(?:患者|病人|\b[Pp]atient)[ /:：]{0,2}([A-Z]{1,3}\d{5,12})(?![\dA-Za-z])"),
        (
            "BORN",
            r"(?:出生日期|出生年月日?|出生于|生于|生日|(?i:date of birth|birth[ _]?date|DOB|born(?: on)?))"
            rf"{_CUE_END}({_DATE})",
        ),
        ("BORN", rf"({_DATE})\s?(?:出生|生(?=[,，。;；\s]))"),
        (
            "ADDRESS",
            r"(?:(?:家庭|现|户籍|联系|居住|通讯)?住?[地住]址|现住|家住|居住于|住在"
            r"|(?i:home address|address|lives at|residing at))"
            rf"{_CUE_END}([^\n。;；，.|\"”]{{4,60}})",
        ),
        (
            "ADDRESS",
            r"([\u4e00-\u9fff]{2,24}(?:路|街|大道|巷|弄|村|小区|胡同)[\u4e00-\u9fff]{0,6}\d{1,5}(?:号楼|号|栋|幢|单元|室)"
            r"(?:[\d\-]{1,5}(?:号楼|栋|幢|单元|室|号|弄)){0,4})",
        ),
        (
            "ADDRESS",
            r"(?<!\d)(\d{1,5} (?:[A-Z][a-z]{1,15} ){1,3}"
            r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd)\b\.?"
            r"(?:,? (?:Apt|Unit|Suite) ?\w{1,5})?)",
        ),
        (
            "NAME",
            r"(?:姓\s?名|联系人|监护人|家属姓名"
            r"|(?i:patient[ _]?name|full[ _]?name|name of patient"
            r"|(?<!drug )(?<!generic )(?<!brand )(?<!trade )(?<!test )(?<!file )(?<!product )\bname))"
            r"[\"'”」]?\s{0,2}(?:[:：=是为]|is\b)\s{0,2}[\"'“「]?"
            rf"(?!{_NO_ZH_NAME})({_NOT_SHORT}{_EN_NAME}|{_ZH_DOTTED}{_NAME_END}|{_ZH_SPACED}"
            rf"|{_ZH_NAME}{_NAME_END}|[\u4e00-\u9fff]{{2,4}}?(?=$|[^\u4e00-\u9fff·])|{_ZH_NAME})",
        ),
        (
            "NAME",
            rf"(?:姓\s?名|联系人|监护人)\s{{0,2}}\|?\s{{0,2}}(?!{_NO_NAME})({_ZH_SPACED}|(?:{_ZH_NAME}|{_ZH_DOTTED}){_NAME_END})",
        ),
        ("NAME", rf"(?i:patient[ _]name|full[ _]name|name of patient)\s{{0,2}}\|?\s{{1,2}}({_EN_NAME_OF_TWO})"),
        (
            "NAME",
            r"(?:患者|病人|患儿|产妇|孕妇|病员|伤者|家属|母亲|父亲|妻子|丈夫|我叫|名叫|我是)\s{0,2}[:：]?\s{0,2}[\"'“「‘(（]?"
            rf"(?!{_NO_NAME})({_ZH_NAME}|{_ZH_DOTTED}){_NAME_END}",
        ),
        (
            "NAME",  # whatever the name is, its sex or age stands behind it
            r"(?:患者|病人|患儿)\s{0,2}[:：]\s{0,2}((?:(?![男女性年岁儿童人者病痛热症史了没不有的是咳嗽吐泻呕肿痒晕闷悸痹麻渴乏胀喘血昏糊])[\u4e00-\u9fff]){2,4})"
            r"(?=\s?[,，、(（/ ]\s?(?:[男女]|性别|\d{1,3}\s?岁))",
        ),
        ("NAME", rf"(?:患者|病人|患儿)\s{{0,2}}[:：]\s{{0,2}}({_EN_NAME_OF_TWO})"),
        ("NAME", rf"(?:患者|病人|患儿)\s{{0,2}}({_NO_ABBREVIATION}{_EN_NAME_OF_TWO})"),
        ("NAME", rf"((?:{_ZH_NAME}))(?=先生|女士|小姐|同志|大爷|大妈|阿姨)"),
        ("NAME", rf"\b(?:Mr|Mrs|Ms|Miss|Mister)\.? ({_EN_NAME})"),
        ("NAME", rf"\b(?:[Pp]atient|PATIENT)[\"']?: {{0,2}}[\"']?({_NOT_SHORT}{_EN_NAME_OF_TWO})"),
        ("NAME", rf"\b(?:[Pp]atient|[Mm]y name is|[Ii] am)[\"']?,? [\"']?({_NO_ABBREVIATION}{_EN_NAME_OF_TWO})"),
    )
)

_QUOTE = r"\\{0,4}\""
_KEY_END = rf"{_QUOTE}\s{{0,3}}:\s{{0,3}}"
_PERSON = re.compile(rf"{_QUOTE}(family|given){_KEY_END}(\[[^\]]{{1,200}}\]|{_QUOTE}[^\"]{{1,80}}\")")
# The objects under `name`, with an object within each, as a FHIR HumanName has a `period`.
_HUMAN = re.compile(
    rf"{_QUOTE}name{_KEY_END}\[?\s{{0,9}}((?:\{{(?:[^{{}}]|\{{[^{{}}]{{0,99}}\}}){{1,400}}\}}[\s,]{{0,9}}){{1,4}})"
)
_TEXT = re.compile(rf"{_QUOTE}text{_KEY_END}{_QUOTE}([^\"\\]{{2,80}})")
_PART = re.compile(r"[^\s\"\\\[\],][^\"\\\[\],]{0,60}")
_NUMBERED = re.compile(rf"{_QUOTE}identifier{_KEY_END}[\[{{](?=(.{{1,600}}))", re.DOTALL)
_VALUE = re.compile(rf"{_QUOTE}value{_KEY_END}{_QUOTE}([^\"\\]{{2,60}})")


def identifiers(text: str) -> Iterator[tuple[str, str]]:
    """What names a person, kind by kind, as the text has it; the same may come more than once.

    Kinds: NAME, ID, RECORD, PHONE, EMAIL, ADDRESS, BORN.
    """
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            found = match[match.lastindex or 0].strip(" ,，、-.")
            if found and (kind != "ID" or match.lastindex or _is_identity(found)):
                yield kind, found
                if kind == "NAME" and _SET_APART.fullmatch(found):
                    yield kind, re.sub(r"\s", "", found)  # as the rest of the text may have it
    yield from _in_records(text)


def _in_records(text: str) -> Iterator[tuple[str, str]]:
    """Names and numbers of FHIR resources, whose lists hold several. A Chinese name also as it is said: as one."""
    family = ""
    for match in _PERSON.finditer(text):
        parts = [part for part in _PART.findall(match[2]) if len(part) > 1 or not part.isascii()]
        for part in parts:
            yield "NAME", part
        if match[1] == "given" and family and parts and not family.isascii():
            yield "NAME", family + parts[0]
        family = parts[0] if match[1] == "family" and parts else ""
    for match in _HUMAN.finditer(text):
        for name in _TEXT.findall(match[1]):
            yield "NAME", name
    for match in _NUMBERED.finditer(text):
        for value in _VALUE.findall(match[1]):
            yield "RECORD", value


def _is_identity(number: str) -> bool:
    """Whether 18 signs are a Chinese identity number: a date of birth and the check digit of GB 11643-1999."""
    signs = [sign for sign in number.upper() if sign.isdigit() or sign in "XＸ"]
    if len(signs) != len(_WEIGHTS) + 1:
        return False
    digits = [int(sign) for sign in signs[:-1]]
    try:
        date(*(int("".join(map(str, digits[begin:end]))) for begin, end in ((6, 10), (10, 12), (12, 14))))
    except ValueError:
        return False
    last = "X" if signs[-1] in "XＸ" else str(int(signs[-1]))
    return _CHECK[sum(digit * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11] == last
