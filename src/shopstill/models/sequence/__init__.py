"""Networks that read a shopper's history and say which item comes next; a file a family."""

from __future__ import annotations

from dataclasses import replace

import torch

from shopstill.data.histories import ItemAttributes
from shopstill.models.sequence.cold import with_cold
from shopstill.models.sequence.config import BERT4Rec, GRU4Rec, ItemMean, SASRec, Sequence, Sizes
from shopstill.models.sequence.feed import HistoryFeed
from shopstill.models.sequence.item_mean import ItemMeanNetwork
from shopstill.models.sequence.items import sizes_of
from shopstill.models.sequence.labels import Labelling, chosen, highest
from shopstill.models.sequence.model import SequenceModel
from shopstill.models.sequence.network import Config, SequenceNetwork
from shopstill.models.sequence.recurrent import GRU4RecNetwork
from shopstill.models.sequence.starts import start_items, weighed
from shopstill.models.sequence.steps import Negatives, PlaceLabels, Steps
from shopstill.models.sequence.transformers import BERT4RecNetwork, SASRecNetwork

__all__ = [
    "BERT4Rec",
    "GRU4Rec",
    "HistoryFeed",
    "ItemMean",
    "Labelling",
    "Negatives",
    "PlaceLabels",
    "SASRec",
    "Sequence",
    "SequenceModel",
    "SequenceNetwork",
    "Sizes",
    "Steps",
    "chosen",
    "create",
    "empty",
    "highest",
    "start_items",
    "weighed",
    "with_cold",
]


def empty(config: Config, sizes: Sizes) -> SequenceNetwork:
    """A network of that configuration and these sizes, whose weights are to be loaded."""
    match config:
        case SASRec():
            return SASRecNetwork(config, sizes)
        case BERT4Rec():
            return BERT4RecNetwork(config, sizes)
        case GRU4Rec():
            return GRU4RecNetwork(config, sizes)
        case ItemMean():
            return ItemMeanNetwork(config, sizes)


def create(
    config: Config, items: int, seed: int, attributes: ItemAttributes | None = None, id_dropout: float = 0.0
) -> SequenceNetwork:
    """A network with random weights.

    Args:
        config: its family and size.
        items: V; items are numbered from 1.
        seed: of the weights.
        attributes: of the items, for a network that reads them too.
        id_dropout: how often training leaves an item's own vector out, where there are attributes.
    """
    torch.manual_seed(seed)
    sizes = sizes_of(items, attributes)
    if sizes.links:
        sizes = replace(sizes, id_dropout=id_dropout)
    network = empty(config, sizes)
    if attributes is not None and sizes.links:
        network.items.describe(attributes)
    return network
