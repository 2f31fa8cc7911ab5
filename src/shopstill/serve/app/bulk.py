"""Products in lines: each line a change, all of them made or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from shopstill.core.config import config
from shopstill.serve.app.errors import MOST_FAULTS, Refusal, faulty, several
from shopstill.serve.app.forms import Faulty
from shopstill.serve.app.reading import no_nul
from shopstill.serve.app.served import Engine
from shopstill.serve.forms import Changed, Id, Product

_MOST_LINES = 1_000_000


@config
class PutLine:
    """A line that puts a product."""

    put: Product


@config
class DeleteLine:
    """A line that deletes one."""

    delete: Id = Field(description="Id of the product.")


_PUT, _DELETE, _PRODUCT = TypeAdapter(PutLine), TypeAdapter(DeleteLine), TypeAdapter(Product)
_ANY: TypeAdapter[Any] = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What lines come to: the last one about a product is what holds."""

    put: tuple[Product, ...]
    delete: tuple[str, ...]


def read(raw: bytes) -> Changes:
    """Read lines.

    Raises:
        Refusal: lines are faulty, the first twenty of which are named, or there are none.
    """
    last: dict[str, Product | None] = {}
    faults: list[Faulty] = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        found = _line(line, number)
        if isinstance(found, Faulty):
            faults.append(found)
        elif isinstance(found, str):
            last[found] = None
        else:
            last[found.id] = found
        if len(faults) == MOST_FAULTS or number > _MOST_LINES:
            break
    if faults:
        raise several(faults)
    if not last or number > _MOST_LINES:
        raise several([Faulty(message=f"the body needs 1 to {_MOST_LINES} lines, each a product or a change to one")])
    put = tuple(product for product in last.values() if product is not None)
    return Changes(put=put, delete=tuple(name for name, product in last.items() if product is None))


def make(engine: Engine, raw: bytes) -> Changed:
    """Read lines and make the changes; blocks until they are durable."""
    changes = read(raw)
    return engine.change(changes.put, changes.delete)


def _line(line: bytes, number: int) -> Product | str | Faulty:
    """The product that a line puts, the id that it deletes, or what is wrong with it."""
    try:
        return _change(line, number)
    except ValidationError as cause:
        return faulty(cause.errors(include_url=False)[0], number)
    except Refusal as cause:
        return Faulty(message=cause.fault.message, field=cause.fault.field, line=number)


def _change(line: bytes, number: int) -> Product | str:
    found: Product | str
    # What a line is shows in its beginning; JSON is read once, where that is what it looks like.
    head = line[:20].replace(b" ", b"")
    if head.startswith(b'{"put":'):
        found = _PUT.validate_json(line, strict=True).put
    elif head.startswith(b'{"delete":'):
        found = _DELETE.validate_json(line, strict=True).delete
    else:
        found = _unusual(line)
    if b"\\u0000" in line:
        no_nul(found, number)
    return found


def _unusual(line: bytes) -> Product | str:
    keys = _ANY.validate_json(line).keys() if line.lstrip()[:1] == b"{" else set()
    if keys == {"delete"}:
        return _DELETE.validate_json(line, strict=True).delete
    return _PUT.validate_json(line, strict=True).put if keys == {"put"} else _PRODUCT.validate_json(line, strict=True)
