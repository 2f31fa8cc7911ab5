"""The routes, a file for each kind."""

from __future__ import annotations

from fastapi import APIRouter

from shopstill.serve.app.routes import categorise, health, lab, models, page, products, ranking, recommend, search, why

_PARTS = (search, recommend, ranking, categorise, why, products, models, lab, health, page)

ALL: tuple[APIRouter, ...] = tuple(part.routes for part in _PARTS)
"""In the order in which an address is looked up: what is asked most comes first."""
