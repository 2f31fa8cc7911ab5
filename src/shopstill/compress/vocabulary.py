"""Prune the vocabulary: tokens that a shop's texts never use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.compress import Stage, Trait, _tokens
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.compact import replace_module
from shopstill.models.encoder import Encoder
from shopstill.models.foreign import ForeignEncoder
from shopstill.models.label.texts import BagBody
from shopstill.models.towers import TokenTower


@config
class Vocabulary:
    """Keep the tokens that the shop's catalogue and queries use, and renumber them in the tokenizer.

    Special tokens stay, and with ``characters: all`` every single character, so that words of tomorrow can be
    spelt; with ``used``, characters that no text has become unknown. The first ``common`` tokens stay as well:
    vocabularies are written with the commonest words first, and shoppers use words that no title has. Every text of
    the shop gets the same tokens as before, and so the same scores, with WordPiece, Unigram and BPE alike.

    Raises:
        ConfigError: the model has no tokenizer that can be cut, or its token tables are compact already.

    >>> Vocabulary().characters
    'all'
    """

    kind: Literal["vocabulary"] = "vocabulary"
    characters: Literal["all", "used"] = "all"
    common: int = Field(default=0, ge=0)

    stage: ClassVar[Stage] = "structure"
    needs: ClassVar[tuple[Trait, ...]] = ("tokenizers",)

    def milder(self) -> Vocabulary | None:
        """Twice as many common tokens, 4,096 at least; None where that would be nearly all."""
        return None if self.common >= 16384 else replace(self, common=max(4096, 2 * self.common))

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with rows of its token tables for these tokens alone."""
        tokenizer = getattr(model, "tokenizer", None)
        if tokenizer is None:
            raise ConfigError("vocabulary: this model has no tokenizer; leave the pass out")
        made = copied(model)
        stated = _tokens.read(tokenizer)
        used = _tokens.counts(tokenizer, calibration.texts(), tokenizer.vocab).nonzero().flatten().tolist()
        special = (tokenizer.begin, tokenizer.part, tokenizer.pad)
        ids = _tokens.kept_ids(
            stated, {*used, *special, *range(min(self.common, tokenizer.vocab))}, self.characters == "all"
        )
        _cut(made.network, torch.tensor(ids), tokenizer.vocab)
        calibration.notes[self.kind] = {"before": tokenizer.vocab, "after": len(ids), "used": len(used)}
        cut = _tokens.written(_tokens.remapped(stated, ids))
        return cast("M", replace(cast("Any", made), tokenizer=cut))


def _cut(network: nn.Module, ids: Tensor, vocab: int) -> None:
    for name, module in list(network.named_modules()):
        if isinstance(module, ForeignEncoder):
            raise ConfigError(
                f"vocabulary: {name} is not of the BERT family, whose tables alone can be cut; leave it out"
            )
        if isinstance(module, Encoder):
            module.tokens = _rows(module.tokens, ids, f"{name}.tokens")
            module.size = replace(module.size, vocab=len(ids))
        if isinstance(module, BagBody) and module.config.tokens:
            # Behind the tokens lie the buckets of runs of letters, which stay.
            buckets = torch.arange(vocab, vocab + module.config.buckets)
            module.table = _rows(module.table, torch.cat([ids, buckets]), f"{name}.table")
        if isinstance(module, TokenTower):
            module.importance = _rows(module.importance, ids, f"{name}.importance")
            if not isinstance(module.body, Encoder) and module.body.num_embeddings == vocab:
                replace_module(network, f"{name}.body".removeprefix("."), _rows(module.body, ids, f"{name}.body"))


def _rows(table: nn.Module, ids: Tensor, name: str) -> nn.Embedding:
    if not isinstance(table, nn.Embedding):
        raise ConfigError(f"vocabulary: {name} is compact already; put vocabulary before the pass that made it")
    frozen = not table.weight.requires_grad
    return nn.Embedding.from_pretrained(table.weight.detach()[ids].clone(), freeze=frozen)


vocabulary = Vocabulary
