"""A simulated shop: seeded, of any size, in English and Chinese; the data of the demo and of tests."""

from __future__ import annotations

from shopstill.data.simulate.settings import Simulate
from shopstill.data.simulate.write import make_truth, simulate

__all__ = ["Simulate", "make_truth", "simulate"]
