"""What stands before and behind a label that is given as the answer; for folded text (NFKC, lower case)."""

from __future__ import annotations

import re

BEFORE = 40
"""Characters before a label that are looked at."""

_WRAP = r"[\s\"'“‘「『【\[(<{*_#\\-]{0,8}"
_FILL = (
    r"(?:应该|应当|应|很可能|最可能|可能|也|就|即|则|主要|初步|高度|首先|明确|可|较|更|"
    r"most\slikely|likely|probably|clearly){0,3}\s?"
)

STRONG_CUE = re.compile(
    r"(?:答案|标签|意图|类别|分类|类型|(?<!入院)(?<!既往)(?<!外院)(?<!鉴别)(?<!门诊)(?<!术前)诊断|结论|结果|结局|转归|判断|预测|科室|选项|"
    r"(?<![a-z])(?:label|category|class|classification|diagnosis|intent|intention|answer|prediction|outcome|conclusion|"
    r"result|department|departments|labels))"
    r"[^\S\n]?[\"'”」)\]】}]{0,3}\s{0,2}"
    + _FILL
    + r"(?:(?:是|为|属于|归为|:|=|is|are|would\sbe|应为){1,2}|(?<=[\n】]))"
    r"(?:\s(?:an?|the))?" + _WRAP + "$"
    r"|(?:故选|应选|选择|(?<![候备不别勿误])选|归类为|归类于|归为|分类为|判定为|判断为|识别为|预测为|可归于|"
    r"(?:classif(?:y|ied)|categori[sz]ed?|label(?:l?ed)?)\s(?:this\s|it\s)?as|(?:choose|select|pick))(?:\s(?:an?|the))?"
    + _WRAP
    + "$"
)
WEAK_CUE = re.compile(
    r"(?:(?<!不)是|(?<!行)(?<!因)(?<!认)为|属于|考虑|倾向于?|符合|提示|诊断|支持|更像|认为|因此|所以|综上(?:所述)?|结论|"
    r"(?<![a-z])(?:is|as|be|likely|suggests?|consistent\swith|indicates?|but(?:\srather)?|therefore|thus|favou?rs?)|:)"
    r"[\s,:]{0,2}" + _FILL + r"(?:(?:an?|the)\s)?" + _WRAP + "$"
)
LIST_CUE = re.compile(
    r"(?:推荐|建议|就诊|挂号?|前往|首选|可选|科室?|考虑|问题|存在|包括|去|到|看|有|"
    r"(?<![a-z])(?:recommend(?:ed)?|visit|see|consult|including|includes?|departments?|labels?|issues?|problems?|present))"
    r"[^\n,。;]{0,6}?(?:是|为|有|于|包括|:|are|is)?\s{0,2}(?:the\s)?" + _WRAP + "$"
)
NEGATED = re.compile(
    r"(?:不是|并非|不属于|不考虑|不支持|不符合|不像|不太像|不应|不能|不建议|不存在|不推荐|不提示|不选|不|而非|未见|未发现|无|没有|没|非|未|排除|除外|"
    r"既往|曾|病史|入院|外院|门诊|术前|以前|如果|若|假如|误诊为|是否|或许|区别于|鉴别于?|不同于|相比|"
    r"(?<![a-z])(?:not|no|without|than|exclud(?:e|es|ed|ing)|rul(?:e|es|ed|ing)\sout|unlike|versus|vs\.?|history\sof|previous(?:ly)?|if|whether|never|isn't|against))"
    r"(?:(?:诊断|考虑|有|患|是|为|存在|属于|过|明显|明确|典型|单纯|一般|的|挂|就诊|去|看|an?|the|be|is|as|consistent\swith|likely|diagnosed\swith|for)\s{0,2}|[\s:]){0,4}"
    + _WRAP
    + "$"
)
CLAUSE_END = re.compile(
    r"[\s\"'”’」』】)\]}>*_`]{0,4}(?:类|类别|类型|标签|意图|这一项|这一类|的?可能性?[最较]?大?|的诊断)?[\"'”’」』】)\]}*]{0,3}"
    r"(?=\s*$|[\s,.;:。!、|/(—-]|因为|由于|或|和|与|及|而不?是|而非)"
)
NEGATED_BEHIND = re.compile(
    r"[\s\"'”’」』】)\]:,]{0,3}(?:(?:的)?(?:可能性?)(?:较|很)?[小低]|不|可排除|被排除|已排除|可能性不大|除外|依据不足|is\s(?:not|un|less|ruled|excluded)|isn't|less\slikely)"
)
JOINER = re.compile(r"[\s\"'“”‘’」「、,;|/&+*]{0,6}(?:和|与|及|以及|或者?|还是|and|or)?[\s\"'“”‘’「」*]{0,4}")
EITHER = re.compile(r"或|还是|(?<![a-z])or(?![a-z])")
LEADING_END = re.compile(r"[\s\"'”’」』】)\]}*_`]{0,4}(?:[.。,;:(\n—-]|因为|理由)")
PROSE = re.compile(
    r"[您你我患请应因为该此这那]|建议|可以|考虑|根据|需要|可能|情况|症状|综上|存在|(?<![a-z])(?:the|you|should|your|is|are|because|this|please|and)(?![a-z])"
)
NEGATED_MEMBER = re.compile(r"(?:不|无|未|没|非|排除|no\s|not\s|without\s)")
CONNECTED = re.compile(r"和|与|及|以及|(?<=\s)and(?=\s)|&|\+")
BRACKETED = re.compile(r"\([^()]{0,60}\)$")
BULLET = re.compile(r"\s{0,8}(?:[-*•·]|\(?[0-9]{1,2}[.)、])\s{0,4}(?![0-9])")
LEAD = re.compile(r"(?:存在|可见|发现|推荐|建议|首选|就诊|挂号?|有|看|答){1,3}(?:的?科室|的?问题)?(?:是|为|有|于|:)?")
NUMBERED = re.compile(r"(?:^|(?<=\n))\s{0,8}\(?[0-9]{1,2}[.)、]\s{0,4}(?![0-9])")
HEAD_END = re.compile(r"[:(—]|\s-|-\s")
