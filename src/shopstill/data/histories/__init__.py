"""Shoppers' histories: what each took up, by time, as arrays; parted for training; with attributes of items."""

from __future__ import annotations

from shopstill.data.histories.attributes import AttributeConfig, ItemAttributes, item_attributes
from shopstill.data.histories.cold import ColdItems, cold_items
from shopstill.data.histories.parts import Part, Parts, by_time, leave_one_out
from shopstill.data.histories.read import HistoryConfig, read_histories
from shopstill.data.histories.table import Histories

__all__ = [
    "AttributeConfig",
    "ColdItems",
    "Histories",
    "HistoryConfig",
    "ItemAttributes",
    "Part",
    "Parts",
    "by_time",
    "cold_items",
    "item_attributes",
    "leave_one_out",
    "read_histories",
]
