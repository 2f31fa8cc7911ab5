from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopstill.data.text import fold, language, length, normalise, tokenise

MARKUP = st.text(alphabet="&<>ap;#38x/ -!ltgscript\u0338＜＆é123½.,in'\"×*\u2044ft克\ud800\x85\u200b")


@given(st.text() | MARKUP)
@settings(max_examples=400, deadline=None)
def test_normalise_is_idempotent_and_always_encodes(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    once.encode("utf-8")
    assert once == " ".join(once.split())


@given(st.text() | MARKUP)
@settings(max_examples=300, deadline=None)
def test_every_text_can_be_folded_cut_and_measured(text: str) -> None:
    assert all(tokenise(text)), "no token is empty"
    assert length(text) >= 0
    assert language(text)
    fold(text)


@given(st.text(alphabet="0123456789 .x/in-ft,\"'oz克米毫升"))
@settings(max_examples=500, deadline=None)
def test_fold_is_idempotent_on_numbers_and_units(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  red \t mug\n", "red mug"),
        ("ＬＥＤ　灯泡１２Ｗ", "LED 灯泡12W"),
        ("cafe\u0301", "café"),
        ("Baker&#39;s Rack &amp; Sons", "Baker's Rack & Sons"),
        ("&amp;lt;b&amp;gt;bold&lt;/b&gt;", "bold"),
        ("AT&T and S&amplifier", "AT&T and S&amplifier"),
        ("<p>red</p><br/>mug<script>alert(1)</script><!-- x > y -->!", "red mug !"),
        ("size <3/4 in. and 5 > 3", "size <3/4 in. and 5 > 3"),
        ("\ud83d\ude00 ok \ud800", "\U0001f600 ok"),
        ("Men\x92s mug", "Men’s mug"),
        ("a\x00b\x1fc", "ab c"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("1½ in.", "1 1/2 in."),
        ("½in", "1/2in"),
        ("Moen™ faucet®", "Moen faucet®"),
        ("10² m²", "10 2 m2"),
        ("", ""),
    ],
)
def test_normalise(raw: str, clean: str) -> None:
    assert normalise(raw) == clean


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3/4 in. pipe", '3/4" Pipe'),
        ("3/4-inch pipe", "3/4 inches pipe"),
        ("10-ft. ladder", "10 FT ladder"),
        ("5 gal. bucket", "5-Gallon bucket"),
        ("1,000 BTU", "1000 btu"),
        (".5 oz", "0.5 ounce"),
        ("1 1/2 in.", "1-1/2 inch"),
        ("2 in. x 4 in. x 8 ft.", '2" × 4" × 8\''),
        ("2x4 lumber", "2 X 4 Lumber"),
        ("9 cu. ft.", "9 cubic feet"),
        ("500毫升水杯", "500ml水杯"),
        ("５００ｍｌ", "500 ML"),
        ("STRASSE", "straße"),
        ("men’s", "Men's"),
    ],
)
def test_fold_unifies_what_means_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    "text", ["3 in 1 tool", "2-in-1", "5 in the box", "100克拉钻石", "5升级版", "3米白色", "90's", "iphone x 256"]
)
def test_fold_leaves_alone_what_is_no_unit(text: str) -> None:
    assert fold(text) == text


def test_words_in_many_languages() -> None:
    assert tokenise("12-Gauge Angles, DCD771C2 iPhone13 men's") == [
        "12", "gaug", "angl", "dcd771c2", "iphone13", "iphone", "13", "men",
    ]  # fmt: skip
    assert tokenise("3/4 in. x 10 ft. 2x4") == ["3/4", "3/4in", "10", "10ft", "2x4", "2", "4"]
    assert tokenise("iPhone X 256GB") == ["iphon", "x", "256", "256gb"]
    assert tokenise("戴森吹风机 V8") == ["戴", "森", "吹风", "风机", "吹风机", "v8"]
    assert tokenise("コーヒー豆", "ja") == ["コー", "ーヒ", "ヒー", "ー豆"]
    assert tokenise("zapatos rojos", "es") == ["zapat", "roj"]
    assert tokenise("कमलकामहल बोतलें") == ["कमलकामहल", *tokenise("बोतल")], "vowel signs part no word, and have a stem"
    assert tokenise("???") == tokenise("") == []


WORDS = "headphones Наушники наушников Ακουστικά سماعات लाल élégantes Kırmızı 携帯 水壶 ケース 보온병 กาแฟ".split()


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_a_word_is_the_same_tokens_beside_any_other(words: list[str]) -> None:
    assert tokenise(" ".join(words)) == [token for word in words for token in tokenise(word)]


def test_a_word_is_stemmed_as_its_script_is() -> None:
    assert tokenise("Наушники Sony headphones") == [*tokenise("наушников"), "soni", "headphon"]
    assert tokenise("携帯ケース 黒") == [*tokenise("携帯"), *tokenise("ケース"), "黒"]
    assert tokenise("Bratpfannen headphones", "de") == ["bratpfann", "headphon"]
    assert tokenise("Наушники headphones", "sr")[1:] == tokenise("Ακουστικά headphones", "no-such")[1:] == ["headphon"]


def test_an_unknown_brand_is_the_same_tokens_wherever_it_stands() -> None:
    brand = tokenise("戴森")
    assert set(brand) <= set(tokenise("全新戴森吹风机")) & set(tokenise("吹风机戴森正品"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("red mug", "en"),
        ("12345", "en"),
        ("café", "en"),
        ("红色马克杯", "zh"),
        ("Nike Air Max 270 运动鞋", "zh"),
        ("Steel kettle with a very long English title and one mark 家", "en"),
        ("ステンレス水筒", "ja"),
        ("머그컵", "ko"),
        ("кружка", "ru"),
    ],
)
def test_language(text: str, name: str) -> None:
    assert language(text) == name


def test_chinese_is_loaded_lazily_and_in_silence() -> None:
    code = (
        "import sys; from shopstill.data.text import tokenise; tokenise('red mugs');"
        "assert 'rjieba' not in sys.modules; assert tokenise('马克杯'); assert 'rjieba' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "text",
    [
        "<b " * 40_000,
        "&#38;" * 30_000 + "lt;",
        "<script>" * 20_000,
        "<!--" * 30_000,
        "<" * 60_000 + ">" * 60_000,
        "1,000" * 20_000,
        "1-" * 50_000,
        "a" * 100_000,
        "1x" * 40_000,
    ],
    ids=lambda text: text[:8],
)
def test_hostile_text_costs_linear_time(text: str) -> None:
    def seconds(size: int) -> float:
        start = time.process_time()
        tokenise(text[:size])
        return time.process_time() - start

    whole = seconds(len(text))
    # Four times the text may cost eight times the time, or be too quick to measure; sixteen times is the square.
    assert whole < max(8 * seconds(len(text) // 4), 0.5)
