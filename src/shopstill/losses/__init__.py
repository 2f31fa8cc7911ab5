"""Losses: a file a loss, each a pure function of tensors that returns a scalar.

Every loss is called as ``loss(student, other, **options)``, or ``loss(student, other, group_B, **options)`` where its
``SPEC`` says grouped, and takes ``weight_B``, one weight of at least 0 a row. A row of weight 0 counts as absent.
Gradients flow to the student alone; half precision is computed in float32; where nothing can be compared the loss is
a zero that still hangs on the graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from shopstill.core.errors import ConfigError, nearest
from shopstill.core.registry import Registry
from shopstill.types import LossSpec

LOSSES = Registry("shopstill.losses", "loss")

_TENSORS = ("weight_B", "target_B")
_PROBE = {"logits": (2, 2), "scores": (2,), "features": (2, 2), "attention": (2, 1, 2, 2)}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that a loss does not know or allow, before any training.

    Args:
        name: the loss in the registry.
        options: keyword arguments, as in a recipe's term.

    Raises:
        ConfigError: the loss or an option is unknown (the nearest is named), or a value is not allowed.

    >>> check_options("soft", {"temperature": 0})
    Traceback (most recent call last):
      ...
    shopstill.core.errors.ConfigError: loss 'soft': temperature is 0; it must be a finite number above 0, such as 1.0
    """
    loss, spec = LOSSES.get(name), LOSSES.module(name).SPEC
    parameters = inspect.signature(loss).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _TENSORS]
    for option in options:
        if option not in known:
            raise ConfigError(f"loss {name!r}: unknown option {option!r}; {nearest(option, known)}")
    # Each bound is written once, in the loss; two rows of zeros make it speak.
    try:
        loss(*_probe(spec, options), **options)
    except ConfigError as cause:
        raise ConfigError(f"loss {name!r}: {cause}") from None


def _probe(spec: LossSpec, options: Mapping[str, Any]) -> list[torch.Tensor]:
    weights = options.get("class_weight")
    # As many classes as there are weights of classes, where these are given.
    student = torch.zeros((2, len(weights)) if isinstance(weights, list | tuple) else _PROBE[spec.takes])
    whole = spec.against == "target" and spec.takes == "logits"
    other = torch.zeros(2, dtype=torch.int64) if whole else student
    return [student, other, *([torch.zeros(2, dtype=torch.int64)] if spec.grouped else [])]
