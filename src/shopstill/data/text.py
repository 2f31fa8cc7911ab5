"""Text of a shop: cleaning, folding for matches, language, tokens and length; Chinese and English are equals."""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections.abc import Callable, Iterator

from shopstill.data.units import UNITS, unify_units

_PLAIN = re.compile(r"(?:[!-%'-;=-~]++(?: [!-%'-;=-~]++)*+)?+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_UNWANTED = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x9f\xad\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069\u2120\u2122]"
)
_NUMERAL = "²³¹¼-¾⁰⁴-⁹₀-₉⅐-⅟↉①-⒛⓪"
_GLUED_NUMERAL = re.compile(rf"(?<=\d)(?=[{_NUMERAL}])|(?<=[¼-¾⅐-⅞↉])(?=\d)")
_AMPERSANDS = re.compile(r"&(?:amp;|#0*38;|#x0*26;)+", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z][a-z\d]{1,30});|&nbsp", re.IGNORECASE | re.ASCII)
_ELEMENTS = (
    "a|abbr|address|article|b|big|blockquote|body|br|button|center|code|dd|del|div|dl|dt|em|embed|fieldset|figcaption|"
    "figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|label|legend|li|link|main|meta|nav|"
    "noscript|object|ol|option|p|param|pre|s|samp|script|section|select|small|source|span|strike|strong|style|sub|sup|"
    "svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|video"
)
_TAG = re.compile(rf"</?(?:{_ELEMENTS})(?:[\s/][^>]*)?>|<!(?:--|doctype)[^>]*>|-->", re.IGNORECASE)
_HIDDEN = {"<!--": "-->", r"<script[\s>]": "</script>", r"<style[\s>]": "</style>"}
_ROUNDS = 6

_QUOTES = str.maketrans("‘’ʼ＇“”", "''''\"\"")

HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_KANA = r"\u3041-\u3096\u30a1-\u30fa\u30fc"
_HANGUL = r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
THAI = r"\u0e01-\u0e4e"
_SCRIPTS = {
    "ja": re.compile(f"[{_KANA}]"),
    "ko": re.compile(f"[{_HANGUL}]"),
    "zh": re.compile(f"[{HAN}]"),
    "ru": re.compile(r"[\u0400-\u052f]"),
    "el": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "ar": re.compile(r"[\u0600-\u06ff\u0750-\u077f]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(f"[{THAI}]"),
}
_LETTER = re.compile(r"[^\W\d_]")
_SCRIPT_SHARE = 0.1

_UNSPACED = f"{HAN}{_KANA}{_HANGUL}{THAI}"
# Vowel signs and accents are no \w for Python's re, yet they stand inside words.
MARKS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff"
_LETTERS = rf"(?:(?![{_UNSPACED}])[^\W_]|[{MARKS}])"
_RUN = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<number>\d+(?:-\d+/\d+|[./]\d+)*)(?P<tail>{_LETTERS}*)|(?P<word>{_LETTERS}+)(?:'s?)?"
)
_DIGIT = re.compile(r"\d")
_PARTS = re.compile(r"\d+|[^\W\d_]{2,}")
_DIMENSIONS = re.compile(r"\d+(?:[./]\d+)*(?:x\d+(?:[./]\d+)*)+")
_HAN_OR_NOT = re.compile(f"[{HAN}]+|[^{HAN}]+")
_STEMMED = frozenset("ar ca da de el en es et eu fi fr hi hu hy id it lt ne nl no pt ro ru sr sv ta tr yi".split())
_WRITTEN_AS = {"ar": "ar", "el": "el", "hi": "hi", "ne": "hi", "ru": "ru", "sr": "ru", "yi": "he"}
"""What ``language`` takes a stemmed language's words for, where that is not ``en``."""


def normalise(text: str) -> str:
    """Clean a text for display and for every model: the same look for the same content.

    In this order, until nothing changes: lone surrogates and control characters go (Windows-1252 bytes read as Latin-1
    become what they meant), Unicode NFKC (full-width forms, ligatures; ``1½`` keeps its space: ``1 1/2``), HTML
    entities, HTML tags with scripts, styles and comments, runs of white space. ``normalise(normalise(x)) ==
    normalise(x)`` for every string, and the time is linear in its length.

    >>> normalise("ＬＥＤ&nbsp;灯泡<br/>１２Ｗ  &amp;amp; caf\\u0065\\u0301")
    'LED 灯泡 12W & café'
    """
    if _PLAIN.fullmatch(text):
        return text
    for _ in range(_ROUNDS):
        cleaned = _clean_once(text)
        if cleaned == text:
            return text
        text = cleaned
    # Markup nested this deep hides something; without & and < nothing is left that could unfold further.
    return _clean_once(unicodedata.normalize("NFKC", text).replace("&", " ").replace("<", " "))


def fold(text: str) -> str:
    """The form of a text used to compare it: normalised, without case, one spelling for numbers and units.

    >>> fold("Rubber Hose, 3/4 in. x 10-Ft.") == fold("rubber hose, 3/4 inch × 10ft")
    True
    """
    folded = normalise(text).casefold()
    if not folded.isascii():
        folded = normalise(folded.translate(_QUOTES)).casefold()
    return unify_units(folded)


def language(text: str) -> str:
    """The language a text is taken for, by its script alone: ``en`` for Latin letters or none, ``zh`` for Han, …

    A script that holds a tenth of the letters decides, since Chinese titles are full of Latin brands.

    >>> language("stainless steel kettle"), language("Apple iPhone 手机壳"), language("やかん")
    ('en', 'zh', 'ja')
    """
    if text.isascii():
        return "en"
    for name, script in _SCRIPTS.items():
        if script.search(text) and len(script.findall(text)) >= _SCRIPT_SHARE * len(_LETTER.findall(text)):
            return name
    return "en"


def tokenise(text: str, language: str | None = None, *, stemmed: bool = True) -> list[str]:
    """Tokens of a text for BM25 and word overlap, in order.

    Runs of one script are cut by that script's rule: each word is stemmed (Snowball) as the language that its script
    is taken for, a number with a unit gives both the number and the two together, a word tied to a number gives both
    parts and the whole, Han is cut by jieba's search mode without its guesses at unknown words (so that an unknown
    brand is always the same characters), Japanese kana, Hangul and Thai into pairs of characters. What a word is cut
    into depends on no other, so that a query and a product agree on it.

    Args:
        text: any text; it is folded here.
        language: stems the words of its own script, and ``ja`` keeps Han and kana together. Texts agree only with
            texts of the same language: leave it out where queries come without one.
        stemmed: whether words lose their endings.

    >>> tokenise("12-Gauge Angles, 3/4 in. x 10 ft.")
    ['12', 'gaug', 'angl', '3/4', '3/4in', '10', '10ft']
    >>> tokenise("苏泊尔不锈钢水壶 1.5升")
    ['苏泊尔', '不锈', '不锈钢', '水壶', '1.5', '1.5l']
    """
    stem = functools.partial(_stem, language) if stemmed else str
    tokens: list[str] = []
    for found in _RUN.finditer(fold(text)):
        tokens += _cut(found, language, stem)
    return tokens


def last_word(text: str) -> tuple[int, str]:
    """How many of a text's tokens, at their end, its last word gave, and the word as it is written, whole.

    Where words stand without spaces it is the last token. A text without a word gives 0 and nothing.

    >>> last_word("Sony WH1000"), last_word("red mugs"), last_word("hose 500m"), last_word("不锈钢水壶")
    ((3, 'wh1000'), (1, 'mugs'), (2, '500m'), (1, '水壶'))
    """
    last = None
    for found in _RUN.finditer(fold(text)):
        last = found
    if last is None:
        return 0, ""
    tokens = _cut(last, None, str)
    return (1, tokens[-1]) if last["unspaced"] else (len(tokens), max(tokens, key=len))


def length(text: str) -> int:
    """How long a text is in words; two characters of Chinese, Japanese, Korean or Thai count as one word.

    >>> length("red coffee mug"), length("红色马克杯"), length("")
    (3, 3, 0)
    """
    found = _RUN.finditer(normalise(text))
    return sum((len(run["unspaced"]) + 1) // 2 if run["unspaced"] else 1 for run in found)


_language = language


def _clean_once(text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    if _UNWANTED.search(text):
        text = text.translate(_replacements())
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _GLUED_NUMERAL.sub(" ", text)).replace("\u2044", "/")
    if "&" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), _AMPERSANDS.sub("&", text))
    if "<" in text or "-->" in text:
        text = _without_markup(text)
    return " ".join(text.split())


@functools.cache
def _replacements() -> dict[int, str | None]:
    # A C1 control is almost always a Windows-1252 byte that was read as Latin-1; browsers read it so too.
    table: dict[int, str | None] = {b: bytes([b]).decode("cp1252", "ignore") or None for b in range(0x80, 0xA0)}
    table |= dict.fromkeys([*range(0x09), *range(0x0E, 0x1C), 0x7F, 0xAD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF])
    table |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
    # NFKC would spell ™ and ℠ as letters and glue them to the word before.
    return table | {0x2120: " ", 0x2122: " "}


def _without_markup(text: str) -> str:
    for start, end in _HIDDEN.items():
        if end in text.lower():
            text = _without_spans(text, re.compile(start, re.IGNORECASE), re.compile(re.escape(end), re.IGNORECASE))
    # Behind the last > no tag can end; looking there would cost the square of a hostile text's length.
    head, closing, tail = text.rpartition(">")
    return _TAG.sub(" ", head + closing) + tail


def _without_spans(text: str, start: re.Pattern[str], end: re.Pattern[str]) -> str:
    kept: list[str] = []
    at = 0
    while opened := start.search(text, at):
        closed = end.search(text, opened.end())
        if not closed:
            break
        kept += [text[at : opened.start()], " "]
        at = closed.end()
    return "".join([*kept, text[at:]])


def _cut(found: re.Match[str], language: str | None, stem: Callable[[str], str]) -> list[str]:
    """The tokens of a run that ``_RUN`` found."""
    if word := found["word"]:
        return _with_parts(word) if _DIGIT.search(word) else [stem(word)]
    if number := found["number"]:
        return _number(number, found["tail"])
    return list(_segment(found["unspaced"], language))


def _number(number: str, tail: str) -> list[str]:
    if not tail:
        return [number]
    return [number, number + tail] if tail in UNITS else _with_parts(number + tail)


def _with_parts(word: str) -> list[str]:
    parts = _PARTS.findall(word)
    if len(parts) == 2 or _DIMENSIONS.fullmatch(word):
        return [word, *parts]
    return [word]


def _segment(run: str, language: str | None) -> Iterator[str]:
    if language == "ja":
        yield from _pairs(run)
        return
    import rjieba

    for part in _HAN_OR_NOT.findall(run):
        yield from rjieba.cut_for_search(part, hmm=False) if _SCRIPTS["zh"].match(part) else _pairs(part)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


@functools.lru_cache(maxsize=1 << 16)
def _stem(language: str | None, word: str) -> str:
    script = _language(word)
    spoken = language if language in _STEMMED and _WRITTEN_AS.get(language, "en") == script else script
    return _stemmer(spoken if spoken in _STEMMED else "en")(word)


@functools.cache
def _stemmer(language: str) -> Callable[[str], str]:
    import Stemmer

    stem: Callable[[str], str] = Stemmer.Stemmer(language).stemWord
    return stem
