"""How each model looks throughout the page: one colour per student, its twin hollow in the same."""

from __future__ import annotations

from collections.abc import Mapping

from shopstill.evaluate.page.html import Html, tag
from shopstill.evaluate.results import Role

_COLOURS = 4


def looks(roles: Mapping[str, Role]) -> dict[str, str]:
    """Model → classes.

    >>> looks({"t": Role(kind="teacher"), "s": Role(kind="student"), "d": Role(kind="twin", of="s")})
    {'t': 'teacher', 's': 'student-1', 'd': 'student-1 hollow'}
    """
    students = [name for name, role in roles.items() if role.kind == "student"]
    colour = {name: f"student-{index % _COLOURS + 1}" for index, name in enumerate(students)}
    return {
        name: colour.get(name) or (f"{colour[role.of]} hollow" if role.of in colour else role.kind)
        for name, role in roles.items()
    }


def name_of(model: str, look: Mapping[str, str]) -> Html:
    """A model's name behind its mark."""
    mark = tag(
        "svg", tag("circle", cx=7, cy=7, r=5, class_="dot"), width=14, height=14, class_="mark", aria_hidden="true"
    )
    return tag("span", mark, tag("bdi", model), class_=f"model {look.get(model, 'baseline')}")
