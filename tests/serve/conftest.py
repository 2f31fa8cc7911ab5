"""The bundles of the tests of export."""

from tests.export.conftest import make, written

__all__ = ["make", "written"]
