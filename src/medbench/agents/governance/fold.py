"""The texts in which rules look for words: one shape for all spellings, and what common disguises hide."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Mapping

_CHUNK = 1024
_HIDDEN = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
_KEPT = {ord(sign): ord(sign) for sign in "\n\t\r"}


class _Table(dict[int, int | None]):
    """What `str.translate` drops, found out once per character."""

    def __init__(self, dropped: frozenset[str], known: Mapping[int, int | None]) -> None:
        super().__init__(known)
        self._dropped = dropped

    def __missing__(self, code: int) -> int | None:
        kept = unicodedata.category(chr(code)) not in self._dropped and not _is_unseen(code)
        self[code] = code if kept else None
        return self[code]


# Letters of Korean that are blank, and the blank of Braille.
_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"


def _is_unseen(code: int) -> bool:
    """Whether it is a selector of variants, or a letter that is blank."""
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or chr(code) in _FILLERS


# Letters of other scripts that look like Latin ones, as far as no medical text needs them.
_LOOKALIKES = str.maketrans(
    "асԁеһіјорԛѕхуѵԝɡıοᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ’‘“”", "acdehijopqsxyvwgioabcdefghijklmnoprstuvwyz''\"\""
)
# Capitals among them, whose small letters look like others.
_CAPITALS = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧАВЕКМНОРСТХУІЈЅ", "ABEZHIKMNOPTYXABEKMHOPCTXYIJS")
# In a circle or a square with white letters, and of flags; the others fold by themselves.
_CAPITALS |= {first + place: ord("A") + place for first in (0x1F150, 0x1F170, 0x1F1E6) for place in range(26)}
_CAPITAL_MICRO = re.compile(r"(?<=[\d\s])Μ(?=[Gg](?![A-Za-z]))")
# Traditional characters behind which stand those that the rules of the program use (by OpenCC's table).
_TRADITIONAL = (
    "乾干亂乱佈布侷局係系俬私個个們们倫伦側侧偽伪備备傢家傳传傷伤僅仅僞伪優优兒儿內内兩两別别刪删則则剋克劑剂動动務务"
    "勸劝卽即厤历厲厉參参員员問问啓启啟启喫吃單单嗎吗噁恶噹当嚇吓嚥咽嚮向嚴严執执報报塵尘壓压奬奖奮奋嬰婴宮宫實实審审"
    "寫写對对導导師师幫帮幹干幾几庫库廢废弔吊張张強强彆别彔录後后從从復复悶闷惡恶應应戶户撲扑擊击據据擾扰敎教數数斷断"
    "昇升時时曆历曏向書书會会朮术査查條条業业榦干構构標标樣样檔档檢检欄栏權权歷历殘残殺杀氣气決决沒没況况洩泄減减測测"
    "準准瀕濒為为無无煉炼熱热爲为獄狱獎奖現现環环瓊琼產产産产當当痠酸療疗癒愈癥症發发監监眞真睏困瞞瞒碼码礙碍種种穩稳"
    "窮穷竊窃箇个篩筛簽签籤签約约紅红紮扎細细終终結结絕绝給给統统絶绝經经維维網网編编練练緻致縫缝總总繞绕繫系繼继續续"
    "纔才罵骂羥羟聯联聲声脈脉脩修脫脱腎肾腫肿腸肠膠胶興兴葉叶葯药蓋盖蔘参薦荐藥药蘭兰處处虛虚號号術术衕同裏里補补裝装"
    "裡里製制複复襲袭覈核見见規规視视計计訓训託托記记設设訴诉診诊註注証证詞词詢询試试話话誇夸誌志誘诱語语誤误說说説说"
    "調调請请論论講讲謠谣謡谣證证識识護护讓让貧贫買买費费資资賠赔賣卖質质賬账購购趕赶車车軟软輕轻輯辑輸输轉转辦办農农"
    "迴回連连週周進进運运過过遠远適适選选邊边郵邮鄰邻醫医釦扣鈅钥鉀钾銷销錄录錢钱録录鍊炼鎭镇鎮镇鑰钥長长門门閉闭開开"
    "間间閤合關关陞升隨随險险隱隐隻只雙双難难電电靜静鞦秋韆千項项須须預预頭头願愿類类顯显風风餬糊馬马駡骂騙骗騷骚驗验"
    "驟骤體体髮发鬚须鹼碱麯曲麴曲麼么麽么黃黄齣出"
)
_SIMPLIFIED = str.maketrans(_TRADITIONAL[::2], _TRADITIONAL[1::2])
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
_SEEN = _Table(_HIDDEN, _KEPT)
_PLAIN = _Table(_HIDDEN | {"Mn"}, {**_LOOKALIKES, **_SIMPLIFIED, **_KEPT})
_BLANK = re.compile(r"[^\S\n]+")
_CHINESE = "[\u3400-\u9fff]"
_BESIDE_CHINESE = re.compile(rf" (?:(?<={_CHINESE} )|(?={_CHINESE}))")
_BETWEEN_CHINESE = re.compile(rf"(?<={_CHINESE})[ ._*·•|/\\~^-]{{1,3}}(?={_CHINESE})")
_SPELLED = re.compile(r"(?<![^\W_])(?:[a-z0-9][ ._*|-]){4,}[a-z0-9](?![^\W_])")
_SPELLED_SIGN = re.compile(r"[ ._*|-]")
_NUMBER = re.compile(r"[0-9]+[a-z]{0,4}")
_WORD = re.compile(r"[a-z0-9@$]+")
_LEET = str.maketrans("013457@$", "oieastas")
_FILLER = re.compile(f"[{_FILLERS}]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_LINE_BREAK = re.compile(r"(?<!\n)(?<!\n ) ?\n ?(?! ?\n)")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|([nrt\"\\/]))")
_ESCAPED = {"n": "\n", "r": "\n", "t": " "}
# Of limited length: a number of thousands of digits is an error.
_ENTITY = re.compile(r"&(?:#\d{1,20}|#[xX][0-9A-Fa-f]{1,20}|[A-Za-z]{2,10});?")
_DEEPEST = 3
"""JSON in JSON in JSON, as a call's argument that holds a request's body."""
_RIGHT_TO_LEFT = "\u202e"


def visible(text: str) -> str:
    """The text without characters that no reader sees: zero-width, bidirectional, control, tags, selectors, blanks."""
    return text if text.isascii() and text.replace("\n", "").isprintable() else text.translate(_SEEN)


def fold(text: str) -> str:
    """One spelling: compatibility forms, case, accents, look-alikes, hidden characters and white space folded.

    Linear in the length: canonical ordering is quadratic in a run of combining marks, so it is done in chunks.
    """
    if not text.isascii():
        text = text.translate(_TAGS)
        pieces = (text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
        text = "".join([unicodedata.normalize("NFKD", piece) for piece in pieces])
        text = _CAPITAL_MICRO.sub("μ", text).translate(_CAPITALS)
    text = _BLANK.sub(" ", text.casefold().translate(_PLAIN))
    return text if text.isascii() else _BESIDE_CHINESE.sub("", text)


def views(text: str) -> tuple[str, ...]:
    """The folded text first, then what wrapping, escapes and simple disguises turn out to hold, folded as well.

    A phrase may go on in the next line, as in text from a PDF: in a second view a lone line break is a space, and
    nothing beside a Chinese character. What JSON and HTML escape (`\\n`, `\\u5ffd`, `&#105;`) is read as what it stands
    for.

    Disguises: letters spelled out (`i g n o r e`), signs between Chinese characters, digits for letters, base64, blank
    letters in place of spaces, text that is shown from right to left.
    """
    plain = fold(text)
    found = [plain, _unwrapped(plain)]
    if (unescaped := _unescaped(_ENTITY.sub(lambda match: html.unescape(match[0]), text))) != text:
        found.append(_unwrapped(fold(unescaped)))
    if _FILLER.search(text):
        found.append(fold(_FILLER.sub(" ", text)))
    found += map(_undisguised, tuple(found))
    if _RIGHT_TO_LEFT in text:
        found.append(fold(text[::-1]))
    # One view of all pieces: however many there are, they are looked through once.
    found.append(fold("\n\n".join(filter(None, (_decoded(match[0]) for match in _BASE64.finditer(text))))))
    return tuple(dict.fromkeys(view for view in found if view))


def _unwrapped(plain: str) -> str:
    return _BESIDE_CHINESE.sub("", _LINE_BREAK.sub(" ", plain)) if "\n" in plain else plain


def _unescaped(text: str) -> str:
    for _ in range(_DEEPEST if "\\" in text else 0):
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPED.get(match[2], match[2]), text)
    return text


def _undisguised(plain: str) -> str:
    text = _BETWEEN_CHINESE.sub("", plain)
    text = _SPELLED.sub(lambda match: _joined(_SPELLED_SIGN.sub("", match[0])), text)
    return _WORD.sub(lambda match: match[0] if match[0].isalpha() else _without_digits(match[0]), text)


def _joined(word: str) -> str:
    """A word that was spelled out, also without `i` or `a` at its ends, which may be words: `I f o r g e a record`."""
    begins, ends = range(1 + (word[0] in "ia")), range(1 + (word[-1] in "ia"))
    return " ".join(word[begin : len(word) - end] for begin in begins for end in ends)


def _without_digits(word: str) -> str:
    """A word with the letters that its digits stand for; a number, or a number with its unit, stays."""
    return word if _NUMBER.fullmatch(word) else word.translate(_LEET)


def _decoded(piece: str) -> str:
    piece = piece.rstrip("=")
    try:
        text = base64.b64decode(piece + "=" * (-len(piece) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.replace("\n", "").isprintable() else ""
