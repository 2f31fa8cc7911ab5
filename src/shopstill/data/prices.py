"""Prices as shops write them: with a currency, with thousands parted, with a point or a comma before the cents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile

import pyarrow as pa
import pyarrow.compute as pc

PRICE = "a price such as 1299.00, $1,299.00 or 1.299,00 € (1,299, or 1.299 beside 12,50, may be either; write cents)"

_CODES = (
    "AED ARS AUD BDT BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES KRW KZT MAD MXN "
    "MYR NGN NOK NZD PEN PHP PKR PLN QAR RMB RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR"
)
_SIGN = rf"(?:[A-Z]{{0,2}}[$£¥฿\u20a0-\u20c0＄￡￥]|{'|'.join(_CODES.split())}|kr\.?|zł|Kč|Ft|Fr\.|元|円|원)"
_SPACE = r" \u00a0\u202f\u2009"
_ROUND = "[.,:](?:--?|[–—])"
_WRITTEN = re.compile(
    rf"(?:{_SIGN}[{_SPACE}]?)?(?P<number>[+-]?[0-9][0-9.,'’{_SPACE}]*?)(?P<round>{_ROUND})?(?:[{_SPACE}]?{_SIGN})?"
)
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED = re.compile(
    rf"(?P<whole>[+-]?[1-9][0-9]{{0,2}}(?P<by>[.,'’{_SPACE}])[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*)"
    r"(?:(?!(?P=by))[.,](?P<cents>[0-9]+))?"
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_POINTS_PART = (
    r",([0-9]{1,2}|[0-9]{4,})[^0-9]*$|[0-9],[-–—]|(^|[^0-9.,])0,[0-9]|[0-9]{4},[0-9]|\.[0-9]{3}(,[0-9]|\.[0-9]{3})"
)
_SIMPLE = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?")


def amount(text: str) -> str:
    """The number in a written price, in digits with a point; empty where it is none, or may be one of two.

    A currency's sign or code may stand before or after it. Of ``.`` and ``,`` the last is the decimal one where both
    are there; one that comes twice parts thousands; one alone is decimal, unless three digits behind it make it either.
    A dash in the place of cents says that there are none.

    >>> [amount(text) for text in ("1.299,00 €", "$1,299.00", "EUR 12,50", "1 299,00", "1.299.000", "0,125", "9.99kr")]
    ['1299.00', '1299.00', '12.50', '1299.00', '1299000', '0.125', '9.99']
    >>> [amount(text) for text in ("12,- €", "CHF 12.–", "1.299,--", "249:-", "1,29,-")]
    ['12', '12', '1299', '249', '']
    >>> [amount(text) for text in ("1,299", "1.299 €", "from 9.99", "12,50 / kg", "1,29,90")]
    ['', '', '', '', '']
    """
    written = _WRITTEN.fullmatch(text.strip())
    if not written or (_EITHER.fullmatch(written["number"]) and not written["round"]):
        return ""
    number = written["number"]
    if grouped := _GROUPED.fullmatch(number):
        whole = grouped["whole"].replace(grouped["by"], "")
        found = f"{whole}.{grouped['cents']}" if grouped["cents"] else whole
    else:
        found = number.replace(",", ".") if _SIMPLE.fullmatch(number) else ""
    return "" if written["round"] and "." in found else found


def price(text: str, parted: bool = False) -> str:
    """A price in digits: a number as it stands, or what ``amount`` reads; empty where it is none, or may be one of two.

    Args:
        text: a cell of a column of prices.
        parted: whether points part thousands in the column, so that a bare ``1.299`` may be 1299 too.

    >>> [price(text) for text in ("9.5", ".5", "1.299", "12,50 €", "cheap", " ")]
    ['9.5', '.5', '1.299', '12.50', '', '']
    >>> [price(text, parted=True) for text in ("9.5", ".5", "1.299", "12,50 €")]
    ['9.5', '.5', '', '12.50']
    """
    text = text.strip()
    return text if _NUMBER.fullmatch(text) and not (parted and _EITHER.fullmatch(text)) else amount(text)


def points_part(pieces: Iterable[pa.Array | pa.ChunkedArray]) -> bool:
    """Whether points part thousands in a column of prices: one has a decimal comma, or two such points.

    This is asked of a whole column before any of its cells is read, so that ``1.299`` means the same in each of them.

    Args:
        pieces: the column, piece by piece; none is read behind the first that tells.

    >>> points_part([pa.array(["1.299", "9.99"]), pa.array(["12,50"])])
    True
    >>> points_part([pa.array(["1.299", "$1,299.00"])]), points_part([pa.array([1.299])])
    (False, False)
    """
    texts = takewhile(lambda piece: pa.types.is_string(piece.type), pieces)
    return any(pc.any(pc.match_substring_regex(piece, _POINTS_PART)).as_py() for piece in texts)
