"""What a caller of the engine may name that is not there."""

from __future__ import annotations

from collections.abc import Iterable

from shopstill.core.errors import DataError, nearest


class UnknownProduct(DataError):
    """No product of this id."""

    def __init__(self, product_id: str) -> None:
        super().__init__(f"product {product_id!r}: not in the catalogue; put it in first, or look it up by a search")


class UnknownModel(DataError):
    """No model of this name is loaded."""

    def __init__(self, name: str, loaded: Iterable[str]) -> None:
        super().__init__(f"model {name!r}: not loaded; {nearest(name, loaded)}")


class NoModel(UnknownModel):
    """No model of a kind is loaded at all, such as ``a model of histories``, which an option loads."""

    def __init__(self, what: str, option: str) -> None:
        none = what.replace("a ", "no ", 1)
        DataError.__init__(self, f"{none} is loaded; start the server with {option} BUNDLE")


class WrongField(DataError):
    """A field of what is asked is not what it must be: its name, and what is wrong and allowed."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
