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


class NoRecommender(UnknownModel):
    """No model of histories is loaded at all."""

    def __init__(self) -> None:
        DataError.__init__(self, "no model of histories is loaded; start the server with --recommend BUNDLE")
