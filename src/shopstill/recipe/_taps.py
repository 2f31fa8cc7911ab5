"""Whether networks have the features that a recipe's objectives compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shopstill.compress.distil import Distil
from shopstill.core.errors import with_article
from shopstill.models.families import AnyModel, taps
from shopstill.recipe import Recipe
from shopstill.recipe._chains import given, root
from shopstill.recipe.parts import members
from shopstill.types import Term

_Terms = tuple[Term, ...]
_OF_MAPS = "attention_transfer"
"""The loss that needs as many numbers of both networks, at the same places; others project, or compare rows."""


def tap_faults(recipe: Recipe) -> Iterator[str]:
    """Features that the network which learns, or the teacher, does not have or does not tell."""
    for place, terms, model in _lessons(recipe):
        yield from (f"{place}: {fault}" for fault in _faults(terms, model, recipe))
    for name, chain in recipe.compress.items():
        if any(term.tap for term in _terms(recipe, name)):
            yield from (
                f"compress.{name}.passes.{at}: distil: an assistant tells its logits alone, but the chain's objective "
                f"taps features; give compress.{name}.objective terms without a tap"
                for at, step in enumerate(chain.passes)
                if isinstance(step, Distil)
            )


def _lessons(recipe: Recipe) -> Iterator[tuple[str, _Terms, AnyModel]]:
    """Every objective with a teacher: its place, its terms, and the network that learns by it."""
    for name, student in recipe.students.items():
        yield f"students.{name}.objective", student.objective, student.model
    for name, chain in recipe.compress.items():
        start = next((model for _, __, model in given(recipe, name)), None)
        first = recipe.students.get(root(recipe, name))
        seen = chain.objective is None and first is not None and start == first.model
        if start is not None and not seen:
            yield f"compress.{name}.objective", _terms(recipe, name), start


def _terms(recipe: Recipe, name: str) -> _Terms:
    """What a chain recovers by, but for a teacher that learns from what it was, which has no features."""
    student = recipe.students.get(root(recipe, name))
    return recipe.compress[name].objective or (student.objective if student else ())


def _faults(terms: _Terms, model: AnyModel, recipe: Recipe) -> Iterator[str]:
    teacher = next(iter(members(recipe.teacher).values()), None)
    for term in terms:
        if term.tap is None:
            continue
        ours, _, theirs = term.tap.partition(":")
        if any(other.across for other in terms):
            yield f"{term.loss} taps features, but a term that looks across compares scores alone; leave one out"
        if ours not in taps(model):
            yield _lacks(term, ours, f"the network that learns, {with_article(model.kind)},", taps(model))
        if term.loss == _OF_MAPS and not all(name.startswith("map") for name in (ours, theirs or ours)):
            yield (
                f"{term.loss} with tap {term.tap!r}: it compares where networks look, which their features map and "
                "map_N tell; use one of these, such as tap: map, or the loss hint for other features"
            )
        if teacher is None:
            yield f"{term.loss} taps features, but scores made elsewhere have none; leave it out, or train a teacher"
        elif (theirs or ours) not in taps(teacher.model):
            yield _lacks(term, theirs or ours, f"the teacher, {with_article(teacher.model.kind)},", taps(teacher.model))


def _lacks(term: Term, name: str, network: str, known: Sequence[str]) -> str:
    found = " or ".join(known)
    return (
        f"{term.loss} with tap {term.tap!r}: {network} has no feature {name!r}, but {found}; use one of these, or name "
        "the feature of each as LEARNER:TEACHER"
    )
