"""A teacher at work: one cross-encoder or several, turning pairs of texts into logits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.core.errors import ArtifactError
from shopstill.core.fingerprint import file_sha256, fingerprint
from shopstill.data.pairs import PairTexts
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.train.predict import predict

MEMBERS = "members"


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """One model or an ensemble, whose logits are averaged.

    Attributes:
        folder: where it lies: a model folder for each member under ``members/``.
        members: the models.
    """

    folder: Path
    members: tuple[TextModel, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the members' weights and sizes: equal where the teacher is the same, wherever it lies."""
        return fingerprint_of(self.folder)

    @cached_property
    def preparation(self) -> str:
        """Digest of what turns texts into the members' input."""
        return fingerprint(
            [[file_sha256(m.tokenizer.path), getattr(m.network.config, "max_tokens", 0)] for m in self.members]
        )

    def answer(
        self, queries: Sequence[str], products: Sequence[str], taps: tuple[str, ...] = ()
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits [N] of N query texts with N product texts, the mean over members, and the first member's features.

        Raises:
            ConfigError: the teacher has no feature of a name in ``taps``.
        """
        asked, query_N = _distinct(queries)
        known, product_N = _distinct(products)
        pairs = PairTexts(queries=asked, products=known, query_N=query_N, product_N=product_N)
        outputs = [predict(m.network, m.network.feed(m.tokenizer, pairs), taps=taps) for m in self.members]
        logits = np.asarray(np.mean([o.logits for o in outputs], axis=0), np.float32)
        return logits, {tap: np.asarray(outputs[0].features[tap], np.float16) for tap in taps}

    def widths(self, taps: tuple[str, ...]) -> dict[str, int]:
        """How wide each feature is."""
        return {tap: values.shape[-1] for tap, values in self.answer(["a"], ["a"], taps)[1].items()}


def _distinct(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Each text once, and which of them stands at each place."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return list(places), np.fromiter((places[text] for text in texts), np.int64, len(texts))


def fingerprint_of(folder: Path) -> str:
    """Digest of the weights and sizes of a teacher's members: equal where the teacher is the same, wherever it lies,
    and whatever it began as.

    Raises:
        ArtifactError: the folder has no member.
    """
    return fingerprint([[file_sha256(member / "model.safetensors"), _sizes(member)] for member in held(folder)])


def _sizes(member: Path) -> Any:
    def lasting(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: lasting(inner) for name, inner in value.items() if name != "start"}
        return value

    return lasting(json.loads((member / "model.json").read_text(encoding="utf-8")))


def held(folder: Path) -> list[Path]:
    """The members' model folders, of which there is at least one.

    Raises:
        ArtifactError: the folder has no member.
    """
    found = folders(folder)
    if not found:
        raise ArtifactError(f"{folder}: no teacher here ({MEMBERS}/ is missing or empty); run the teach stage")
    return found


def folders(folder: Path) -> list[Path]:
    """The members' model folders."""
    return sorted((folder / MEMBERS).iterdir()) if (folder / MEMBERS).is_dir() else []


def load(folder: Path) -> Teacher:
    """The teacher in a folder.

    Raises:
        ArtifactError: the folder has no member.
    """
    return Teacher(folder=folder, members=tuple(build.load(f) for f in held(folder)))
