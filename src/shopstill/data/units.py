"""One spelling for numbers and units: ``3/4 in.`` and ``10-ft.`` become ``3/4in`` and ``10ft``."""

from __future__ import annotations

import functools
import re

# Only spellings that mean one thing behind a number; single letters that are also words stay out.
_SPELLINGS: dict[str, str] = {
    "sqft": r"sq\.? ?f(?:ee)?t|square f(?:ee|oo)t",
    "sqin": r"sq\.? ?in|square inch(?:es)?",
    "sqm": r"sq\.? ?m|square met(?:er|re)s?|平方米|平米",
    "cuft": r"cu\.? ?ft|cubic f(?:ee|oo)t",
    "cuin": r"cu\.? ?in|cubic inch(?:es)?",
    "floz": r"fl\.? ?oz|fluid ounces?",
    "in": r"inch(?:es)?|in(?=\.)|in(?![ -]?\d| (?:the|a|an|one|stock|total)\b)|\"|''|″|′′|英寸",
    "ft": r"f(?:ee|oo)t|ft|'(?![^\W\dx])|′|英尺",
    "yd": r"yards?|yds?",
    "lb": r"pounds?|lbs?|英磅",
    "oz": r"ounces?|oz|盎司",
    "gal": r"gallons?|gals?|加仑",
    "qt": r"quarts?|qts?",
    "pt": r"pints?",
    "mm": r"millimet(?:er|re)s?|mm|毫米",
    "cm": r"centimet(?:er|re)s?|cm|厘米|公分",
    "km": r"kilomet(?:er|re)s?|km|公里",
    "m": r"met(?:er|re)s?|m|米(?![\u4e00-\u9fff])",
    "kg": r"kilograms?|kilos?|kgs?|公斤|千克",
    "mg": r"milligrams?|mg|毫克",
    "g": r"grams?|g|克(?![\u4e00-\u9fff])",
    "ml": r"millilit(?:er|re)s?|ml|毫升",
    "l": r"lit(?:er|re)s?|l|升(?![\u4e00-\u9fff])",
    "v": r"volts?|v|伏特?",
    "kw": r"kilowatts?|kw|千瓦(?!时)",
    "w": r"watts?|w|瓦(?![\u4e00-\u9fff])",
    "amp": r"amperes?|amps?|安培",
    "mah": r"mah|毫安时|毫安",
    "btu": r"btus?",
    "psi": r"psi",
    "hp": r"hp|horsepower",
    "gb": r"gb|gigabytes?",
    "tb": r"tb|terabytes?",
    "mb": r"mb|megabytes?",
    "ghz": r"ghz",
    "mhz": r"mhz",
    "hz": r"hz|hertz",
}
UNITS = frozenset(_SPELLINGS)

_DIGIT = re.compile(r"\d")
_THOUSANDS = re.compile(r"(?<![\w,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_BARE_DECIMAL = re.compile(r"(?<![\w.])\.(?=\d)")
_MIXED_FRACTION = re.compile(r"(?<![\w./-])(\d+)[ -](?=\d{1,3}/\d{1,3}(?![\d/]))")
_TIMES = re.compile(r"(\d) ?[x×*] ?(?=\d)")


def unify_units(text: str) -> str:
    """Give numbers and their units one spelling, for matching and not for display.

    ``text`` is normalised and casefolded. Thousands lose their comma, ``.5`` gains its zero, a mixed fraction is tied
    by a hyphen, dimensions by ``x`` (by ``×`` behind a unit), and a unit stands right behind its number.

    >>> unify_units("3/4 in. x 10-ft. hose, 5 gallons, 1,000 btu, 1 1/2\\" pipe, 500毫升, 3 in 1")
    '3/4in×10ft hose, 5gal, 1000btu, 1-1/2in pipe, 500ml, 3 in 1'
    """
    if not _DIGIT.search(text):
        return text
    if "," in text:
        text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    if "." in text:
        text = _BARE_DECIMAL.sub("0.", text)
    if "/" in text:
        text = _MIXED_FRACTION.sub(r"\1-", text)
    units, times = _patterns()
    text = units.sub(lambda found: f"{found[1]}{found.lastgroup}", text)
    return _TIMES.sub(r"\1x", times.sub(r"\1×", text))


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    names = "|".join(f"(?P<{name}>{spellings})" for name, spellings in _SPELLINGS.items())
    # A unit ends where its word ends, or where the next dimension starts (2inx4in); Chinese knows no word ends.
    units = re.compile(rf"(\d)(?: ?- ?| )?(?:{names})(?:(?<=[\u4e00-\u9fff])|(?![^\W_])|(?=[x×*]\d))(?:\.+(?!\d))?")
    lengths = "|".join(("in", "ft", "yd", "mm", "cm", "m"))
    return units, re.compile(rf"(\d(?:{lengths})) ?[x×*] ?(?=\d)")
