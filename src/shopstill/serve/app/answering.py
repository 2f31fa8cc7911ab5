"""Answers as bytes: written once, by pydantic, with the length known."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from shopstill.serve.app.reading import adapter

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def answered(form: Any, *, lean: bool = False) -> Response:
    """A form as an answer; ``lean`` leaves out what is None."""
    written = adapter(type(form)).dump_json(form, exclude_none=lean)
    return Response(written, headers=_HEADERS, media_type="application/json")
