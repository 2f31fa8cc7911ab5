"""Errors that name the thing, its value, what is allowed and the fix."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class ShopstillError(ValueError):
    """Base of every error that a person can mend."""


class ConfigError(ShopstillError):
    """A recipe or option is not what it must be."""


class DataError(ShopstillError):
    """A file or a row is not what it claims to be."""


class ArtifactError(ShopstillError):
    """An artifact on disk is missing, torn, tampered with, or of another kind."""


class QualityLoss(ShopstillError):
    """A pass lost more quality than its guard allows."""


class MissingDependency(ShopstillError, ImportError):
    """A package that this step needs is not installed."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint for a mistyped name: the nearest allowed one, and all of them.

    >>> nearest("margin_mes", ["margin_mse", "soft"])
    "did you mean 'margin_mse'? Allowed: margin_mse, soft"
    """
    names = sorted(str(n) for n in allowed)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Allowed: {', '.join(names) or '(none)'}"


def with_article(kind: str) -> str:
    """A kind of thing with its article.

    >>> with_article("efficientnet_lite"), with_article("resnet")
    ('an efficientnet_lite', 'a resnet')
    """
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def require(module: str, extra: str) -> ModuleType:
    """Import a heavy dependency, or say which line installs it.

    Raises:
        MissingDependency: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise MissingDependency(
            f"{module} is not installed; this step needs it. Install it with: pip install 'shopstill[{extra}]'"
        ) from cause
