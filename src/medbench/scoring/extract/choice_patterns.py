r"""Patterns of a verdict that names options by letter, for text after NFKC and without markdown emphasis.

Every quantifier is bounded and every pattern begins with a literal or a look-behind, so that a search is linear in the
length of the text. A verdict is a *cue* ("答案是", "故选", "the answer is", `\boxed{`), a *set of letters* and an *end*
that shows that the letters stand for themselves: "答案是B。" but not "答案是B型肝炎", "the answer is A" but not "the
answer is A biopsy".
"""

from __future__ import annotations

import re

_EDGE = r"(?![A-Za-z0-9])"
# What stands between two letters of one set; a line end does not, for a new line starts a new statement.
# Atomic, so that a set which ends badly gives back whole letters only: 26 steps, not an exponential number.
_JOIN = (
    r"(?>[^\S\n]{0,2}(?:[,、/;|&+()<>\[\]{}\"']|\.(?=[A-Z])){0,4}[^\S\n]{0,2}[(<\[{\"']{0,2}"
    r"(?:(?:和|与|及|以及|或者|或|还是|(?i:and|or)(?![A-Za-z]))[^\S\n]{0,2}[(<\[{\"']{0,2})?)"
)
_UPPER = rf"[A-Z](?<![A-Za-z0-9][A-Z])[A-Z]{{0,25}}+{_EDGE}(?:{_JOIN}(?<![A-Za-z0-9])[A-Z]{{1,26}}+{_EDGE}){{0,25}}"
_LOWER = rf"(?<![A-Za-z0-9])[a-z]{_EDGE}(?:{_JOIN}(?<![A-Za-z0-9])[a-z]{_EDGE}){{0,25}}"
_WRAP = r"(?:[\s\"'“‘「『【\[(<{$*_#:-]|\\(?!boxed)|text\{|mathrm\{|mathbf\{|textbf\{){0,12}+"
_NOUN_BEFORE_LETTER = r"(?:(?:选项|(?i:options?|choices?|letters?|answers?)(?![a-z]))[\s:(<\[\"'*]{0,4})?"

EPITHETS = (
    "coli|difficile|pylori|aureus|pneumoniae|albicans|cereus|perfringens|tetani|botulinum|burgdorferi|fragilis|"
    "faecalis|faecium|influenzae|meningitidis|gonorrhoeae|tuberculosis|falciparum|histolytica|lamblia|cloacae|freundii|"
    "abortus|henselae|pertussis|burnetii|trachomatis|psittaci|jejuni|diphtheriae|immitis|neoformans|fumigatus|"
    "granulosus|multilocularis|anthracis|baumannii|melitensis|duodenale|lumbricoides|vermicularis|hominis"
)
_BECAUSE = r"(?:因为|由于|理由|原因|解析|解释|说明|分析|依据)"
_END = (
    r"(?=\s*$|\n"
    rf"|[,;:!。、)\]}}>\"'”’」』】|*_$]|\.(?!\s?(?:{EPITHETS})(?![a-z]))(?![0-9])"
    rf"|\s?(?:项|选项|正确|是正确|为正确|{_BECAUSE}|[一二三四五六七八九两]个?(?:项|选项)|而(?:不|非)|不选)"
    r"|\s+[-–—]|——|\s+\("
    r"|\s+(?i:because|since|as|due|based|which|given|for|is\s(?:the\s)?(?:correct|best|right|most))(?![A-Za-z]))"
)
# "故选A 本题考查…": a space behind the letter but none before it separates; "选 B 超检查" spaces every Latin letter.
_END_SPACED = r"(?<=[^\s][A-Z])(?=[^\S\n]{1,3}[\u4e00-\u9fff])"
_STRICT_END = r"(?=\s*$|\s*\n|[\s)\]}>\"'*]{0,4}[。.!,;](?![A-Za-z0-9]))"

_ADVERB = r"(?:应该|应当|应|很可能|最可能|可能|也|就|即|便|仍|只能|确定|明显|显然|则){0,2}"
_IS = rf"[\s\"'”」)\]}}】]{{0,3}}{_ADVERB}(?:(?:是|为|选择|选(?!项)|即|:|=|→|->|⇒|=>|——){{1,2}}|(?<=[】\n]))"
_THE_ONE_IS = rf"的[^\s,。;:\n]{{0,12}}?{_ADVERB}(?:是|为):?"
_CHOSEN = "|".join(
    f"(?<={word}选)" for word in ["正确", "正确的", "合适的", "恰当的", "最佳", "最终", "我的", "题意的"]
)
_CHINESE_CUES = (
    # Behind the first character; a look-behind then looks at it and at what stands before it.
    rf"(?<=答)(?:案|(?<![A-Za-z\u4e00-\u9fff]答)|(?<=回答)){_IS}"
    rf"|(?<=选)(?:(?:{_CHOSEN})[项择]{_IS}|(?<![候备待误错不别勿多单筛落入可]选)(?:择|定)?(?:答案|的?是|为|:)?)"
    rf"|(?<=最)(?:可能|合适|恰当|佳|符合|适合|适宜|正确|准确|优|好|终判断){_THE_ONE_IS}"
    rf"|(?:(?<=正)(?<!不正)确|(?<=恰)(?<!不恰)当|(?<=符)(?<!不符)合题意){_THE_ONE_IS}"
)
_ENGLISH_IS = (
    r"[\s\"')\]}]{0,3}(?:(?:(?<![a-z])(?:is|are|would\s(?:(?:most\s)?likely\s|probably\s)?be|should\sbe|must\sbe|will\sbe)|[:=]|->|→|[-–—](?=\s)){1,2}"
    r"(?:\s{1,2}(?:definitely|clearly|therefore|most\slikely|likely|probably|simply|indeed))?|(?<=\n))"
)
_ENGLISH_CUES = (
    r"(?i:(?<=a)nswers?(?:\s{1,2}(?:choice|option|letter|key))?(?:\s{1,2}(?:to|for)\s[^.\n:]{1,50}?)?"
    rf"{_ENGLISH_IS}"
    r"|(?:(?<=c)(?:orrect|hosen)|(?<=b)est|(?<=r)ight|(?<=f)inal|(?<=a)ppropriate|(?<=m)y|(?<=l)ikely|(?<=s)uitable)"
    rf"\s{{1,2}}(?:option|choice|selection|verdict){_ENGLISH_IS}"
    r"|(?:(?<=c)hoos(?:e|ing)|(?<=s)elect(?:ing)?|(?<=p)ick(?:ing)?|(?<=g)o(?:ing)?\swith|(?<=o)pt(?:ing)?\sfor"
    r"|(?<=i)(?:\swould)?\sanswer)\s(?:the\s)?"
    r"|(?<=m)ost\s(?:likely|appropriate|suitable|probable|correct)\s(?:[a-z]{1,20}\s){1,4}(?:is|would\sbe)\s"
    r")"
)
_SO = r"[,:]?\s{0,2}(?:(?:应该?)?[是为选]|(?i:it\sis|it's)\s)?"
_CHINESE_CONCLUSIONS = (
    r"(?:(?<=因)此|(?<=所)以|(?<=综)上(?:所述)?|(?<=总)之|(?<=应)(?:该是|为|是)|(?<=改)[为选]|(?<=更)正为)" + _SO
)
_ENGLISH_CONCLUSIONS = (
    r"(?i:(?<=t)h(?:erefore|us)|(?<=h)ence|(?<=s)o|(?<=i)(?:n\sconclusion|t\sis|t's|t\sshould\sbe|t\smust\sbe))" + _SO
)
_CUED = rf"{_WRAP}{_NOUN_BEFORE_LETTER}"

# The pattern begins with a plain set of characters, which the search skips through at the speed of C.
STRONG = re.compile(
    r"[答选最正恰符因所综总应改更AaBbCcFfGgHhIiLlMmOoPpRrSsTt\\<](?:"
    rf"(?:(?<=[\u4e00-\u9fff])(?:{_CHINESE_CUES})|(?<=[A-Za-z])(?<![A-Za-z][A-Za-z])(?:{_ENGLISH_CUES})){_CUED}"
    rf"(?:(?P<upper>{_UPPER})(?:{_END}|{_END_SPACED})|(?P<lower>(?>{_LOWER})){_STRICT_END}|(?P<text>))"
    rf"|(?:(?<=[\u4e00-\u9fff])(?:{_CHINESE_CONCLUSIONS})|(?<=[A-Za-z])(?<![A-Za-z][A-Za-z])(?:{_ENGLISH_CONCLUSIONS})){_CUED}"
    rf"(?P<concluded>(?>{_UPPER})){_STRICT_END}"
    rf"|(?<=\\)boxed\s?\{{{_WRAP}(?:(?P<boxed>{_UPPER}){_END}|(?P<boxed_lower>(?>{_LOWER})){_STRICT_END})"
    rf"|(?<=<)(?<![A-Za-z0-9_]<)\s?(?P<angle>{_UPPER})\s?>)"
)
"""A cue with its letters; group `text` where the cue is followed by something else (perhaps an option's text)."""

LETTERS = re.compile(r"[A-Za-z]+")
EITHER = re.compile(r"或|还是|(?<![A-Za-z])(?:or|OR|Or)(?![A-Za-z])")
_ITEM = r"(?:[-*•]\s{0,2})?(?:选项|(?i:options?|choices?)\s{1,2})?"
_WHOLE_JOIN = rf"(?>(?:[\s,、;.()<>\[\]\"'*•-]{{1,8}}(?!(?i:and|or)(?![A-Za-z])|[和与及以或还&/|+])|{_JOIN}){_ITEM})"
WHOLE = re.compile(
    r"(?:(?:我?选择?|(?:正确|最终|标准|参考)?答案?|(?i:options?|choices?|(?:the\s)?(?:final\s|correct\s)?answers?|ans\.?))\s{0,2}(?:是|为|(?i:is|are)|:|=)?[\s(<\[\"'*]{0,4})?"
    rf"{_ITEM}[(<\[]{{0,2}}(?P<letters>[A-Z]{{1,26}}{_EDGE}(?:{_WHOLE_JOIN}(?<![A-Za-z])[A-Z]{{1,26}}{_EDGE}){{0,25}}"
    rf"|[a-z]{_EDGE}(?:{_WHOLE_JOIN}(?<![A-Za-z])[a-z]{_EDGE}){{0,25}})"
    r"(?:\s?(?:选项|项))?"
)
"""A whole answer or a whole line, stripped of decoration, that is letters and nothing else."""

DECORATION = " \t\r\n\f\v\u3000\"'“”‘’「」『』【】[](){}<>《》*_#.,;:。、!$\\-=~|•·→>"

NEGATED_BEFORE = re.compile(
    r"(?:不|没|未|别|勿|误|错误的?|错的?|并非|难|假设|假如|如果|倘若|若|要是|是否|排除|干扰|其他|其它|人|考生|学生|同学|易|常|(?:例如|比如|格式|示例),?|"
    r"(?<![A-Za-z])(?:not|cannot|never|wrong|incorrect|if|suppose|assuming|whether|avoid|than|instead\sof|other|e\.g\.|"
    r"example|format|might\shave|students?|people|some)|n['’]t|[A-Z](?:还是|或者?|\sor))"
    r"[\s:(]{0,2}"
    r"(?:(?:选项|options?|choices?|能|应该?|可以?|宜|要|会|建议|考虑|需|直接|都|本题|正确|最佳|的|说|认为|一个|"
    r"(?:the|that|be|to|have|just|simply|correct|right|best|would|will|an?|i|select|choose)(?![a-z]))\s{0,2}){0,4}$",
    re.IGNORECASE,
)
"""What stands before a cue and takes it back or makes it somebody else's: 不选, 如果答案是, not, if the answer is."""

_NEGATION_STARTS = re.compile(
    r"[不没未别勿误错并难假如倘若要是排干其人考学同易常例比格示]|(?<![A-Za-z])[A-Za-z]|[A-Za-z](?=还|或|\s[oO]|['’])"
)


def negated_before(text: str) -> bool:
    """Whether `text`, which ends where a cue begins, takes the cue back.

    As `NEGATED_BEFORE.search`, which tries every word at every character: half of the time of reading a verdict.
    """
    for start in _NEGATION_STARTS.finditer(text):  # noqa: SIM110 - any() over a generator takes half as long again
        if NEGATED_BEFORE.match(text, start.start()):
            return True
    return False


MENTIONED_BEFORE = re.compile(r"(?<!正确)(?<!最佳)(?:选项|(?<![A-Za-z])(?i:options?|choice))\s?$")
NEGATED_AFTER = re.compile(
    r"[^\S\n]{0,2}[)\]>\"'}:,]{0,3}[^\S\n]{0,2}(?:选项|项)?\s{0,2}(?:都|均|也|则)?(?:是|为)?\s{0,2}"
    r"(?:错|不|有误|无关|排除|可排除|未|没|(?i:is\s(?:not|in|wrong|false|un)|isn't|aren't|are\s(?:not|in|wrong|false)|wrong|incorrect|false))"
)
EITHER_AFTER = re.compile(rf"{_JOIN}[A-Z]{_EDGE}\s?(?:还是|或|(?i:or)(?![a-z]))|\s?:\s?[A-Z]{_EDGE}")
"""More letters behind a set, which turn it into a question (`A，C还是D`), or a speaker (`A: B`)."""

RETRACTED_AFTER = re.compile(
    r"[\s。.,!;)>\]}\"'$]{0,6}(?:不对|错了|不,|等等|等一下|慢着|不行|(?i:wait|hmm|no,|actually,?\sno|scratch\sthat|sorry)(?![a-z]))"
)

LETTER_LINE = re.compile(
    r"[\s\-*•>#]{0,4}(?:选项|(?i:option)\s)?[(\[<【\"']{0,2}([A-Za-z])(?![A-Za-z0-9])[)\]>】\"']{0,2}\s{0,2}([.、:),–—-]?)\s{0,3}(\S[^\n]{0,400})"
)
"""One line: a letter, a separator (or none) and a text."""

MARKER = re.compile(
    r"(?<![^\n。;,.])[\s\-*•(\[<]{0,4}(?:选项|(?i:option)\s)?([A-Z])(?![A-Za-z0-9])\s?(?:选项|项)?[)\]>]?\s?([.、:)]|(?=\S))"
)
"""A letter that opens a statement of its own, as in an analysis option by option."""

TEXT_WITH_LETTER = re.compile(r"([^\n()]{1,300}?)\s?\(\s?(?:选项|(?i:option)\s)?([A-Z])\s?\)")
"""An option's text with its letter behind it."""

LISTED = re.compile(r"([A-Z])(?<![A-Za-z0-9][A-Z])[.、:)]")
"""A letter and a separator anywhere, as where the options are written out once more."""

LEADING = re.compile(rf"[\s\"'“‘「【\[(<{{*_#]{{0,6}}({_UPPER})[\s\"'”’」】\])>}}*_]{{0,4}}[,.:;。\n]")
"""An answer that begins with its letters and goes on."""

PREDICATE = re.compile(
    rf"({_UPPER})(?:[)>\]]?\s?(?:选项|项)?\s?(?:\([^()\n]{{1,60}}\)\s?)?(?:都|均|才)?(?:应该?|最)?(?:是|为)?(?:最|本题|唯一)?"
    r"(?:正确(?!与否|吗|性)|对的|符合题意|准确|最?佳|最?恰当|最?合适|答案)"
    r"|[)>\]]?\s(?i:is|are|must\sbe|would\sbe)\s(?i:the\s)?(?i:(?:most\s)?(?:correct|right|best|appropriate|likely|true))(?![a-z]))"
)
"""Letters of which it is said that they are right."""
