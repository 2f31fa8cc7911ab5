"""Prices as shops write them: with a currency, with thousands parted, with a point or a comma before the cents."""

from __future__ import annotations

import re

_CODES = (
    "AED ARS AUD BDT BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES KRW KZT MAD MXN "
    "MYR NGN NOK NZD PEN PHP PKR PLN QAR RMB RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR"
)
_SIGN = rf"(?:[A-Z]{{0,2}}[$£¥฿\u20a0-\u20c0＄￡￥]|{'|'.join(_CODES.split())}|kr\.?|zł|Kč|Ft|Fr\.|元|円|원)"
_SPACE = r" \u00a0\u202f\u2009"
_WRITTEN = re.compile(rf"(?:{_SIGN}[{_SPACE}]?)?(?P<number>[+-]?[0-9][0-9.,'’{_SPACE}]*?)(?:[{_SPACE}]?{_SIGN})?")
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED = re.compile(
    rf"(?P<whole>[+-]?[1-9][0-9]{{0,2}}(?P<by>[.,'’{_SPACE}])[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*)"
    r"(?:(?!(?P=by))[.,](?P<cents>[0-9]+))?"
)
_SIMPLE = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?")


def amount(text: str) -> str:
    """The number in a written price, in digits with a point; empty where it is none, or may be one of two.

    A currency's sign or code may stand before or after it. Of ``.`` and ``,`` the last is the decimal one where both
    are there; one that comes twice parts thousands; one alone is decimal, unless three digits behind it make it either.

    >>> [amount(text) for text in ("1.299,00 €", "$1,299.00", "EUR 12,50", "1 299,00", "1.299.000", "0,125", "9.99kr")]
    ['1299.00', '1299.00', '12.50', '1299.00', '1299000', '0.125', '9.99']
    >>> [amount(text) for text in ("1,299", "1.299 €", "from 9.99", "12,50 / kg", "1,29,90")]
    ['', '', '', '', '']
    """
    written = _WRITTEN.fullmatch(text.strip())
    number = written["number"] if written else ""
    if _EITHER.fullmatch(number):
        return ""
    if grouped := _GROUPED.fullmatch(number):
        whole = grouped["whole"].replace(grouped["by"], "")
        return f"{whole}.{grouped['cents']}" if grouped["cents"] else whole
    return number.replace(",", ".") if _SIMPLE.fullmatch(number) else ""
