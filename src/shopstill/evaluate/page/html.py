"""HTML that is safe by construction: text is escaped unless it was built here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

_VOID = frozenset({"br", "hr", "img", "meta"})
_DRAWN = frozenset({"circle", "line", "rect", "path"})
# Characters that HTML does not allow, even escaped.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | float | Iterable[Child] | None"


def escape(text: object) -> Html:
    """Any text, safe inside an element or an attribute.

    >>> escape('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return Html(html.escape(_FORBIDDEN.sub("�", str(text)), quote=True))


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """An element. Attributes: ``class_`` for class, ``_`` for ``-``; None and False leave one out, True stands alone.

    >>> tag("p", "1 < 2", tag("br"), class_="note", hidden=True)
    '<p class="note" hidden>1 &lt; 2<br></p>'
    """
    said = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{said}>")
    if name in _DRAWN and not children:
        return Html(f"<{name}{said}/>")
    return Html(f"<{name}{said}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after another, escaped where they are text."""
    return Html("".join(_child(child) for child in children))


def wild(text: str, limit: int = 160) -> Html:
    """Text that shoppers or sellers wrote: cut, escaped, and its direction kept to itself."""
    return tag("bdi", text if len(text) <= limit else text[: limit - 1] + "…")


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int | float):
        return escape(child)
    return join(child)


def _attribute(key: str, value: str | float | bool) -> str:
    name = key.rstrip("_").replace("_", "-") if key != "viewBox" else key
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
