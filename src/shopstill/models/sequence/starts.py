"""Where a table of items may start: near the vectors of another network, such as the teacher's.

Shapes: ``V`` items, ``D`` width, ``M`` books, ``K`` rows of a book, ``S`` width of a book's rows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from shopstill.core.errors import ConfigError
from shopstill.data.centroids import assign, centroids
from shopstill.models.compact.hashed import Hashed
from shopstill.models.compact.low_rank_table import LowRankTable
from shopstill.models.compact.product_table import ProductTable
from shopstill.models.sequence.items import Items

_AT_ONCE = 1 << 16


@torch.no_grad()
def start_items(items: Items, vectors_VE: Tensor, seed: int) -> None:
    """Fit a table of any kind, its codes too, to given vectors.

    A constant vector is first taken off all, which changes no order of items; where the widths differ, their principal
    components follow. Codes are found by k-means: of each part of the width, or of what the books before leave over.

    Args:
        items: changed in place.
        vectors_VE: one for each item, of any width.
        seed: of the k-means.

    Raises:
        ConfigError: there is not one vector for each item, or the table has no place for them.
    """
    table = items.table
    if len(vectors_VE) != items.sizes.items:
        raise ConfigError(f"vectors: {len(vectors_VE)} for {items.sizes.items} items; give one for each")
    wanted_VD = _narrowed(vectors_VE.detach().float(), table.embedding_dim)
    match table:
        case nn.Embedding():
            table.weight.copy_(wanted_VD)
        case LowRankTable():
            left, size, right = torch.linalg.svd(wanted_VD, full_matrices=False)
            kept = slice(0, min(table.rank, len(size)))
            # As large rows as the table would start with at random: a map that is nearly an isometry.
            table.narrow.weight.zero_()[:, kept] = left[:, kept] * size[kept]
            table.widen.weight.zero_()[:, kept] = right[kept].T
        case ProductTable():
            _product(table, wanted_VD, seed)
        case Hashed(stored=True):
            _residual(table, wanted_VD.numpy(), seed)
        case _:
            raise ConfigError(f"table {type(table).__name__}: it holds nothing for an item alone; it starts at random")


@torch.no_grad()
def weighed(vectors_VE: Tensor, state_NE: Tensor) -> Tensor:
    """Vectors of items whose distances are differences of logits: far apart where states tell them apart.

    With C the covariance of the states, ``v ↦ v·C^½``: then ‖v_i − v_j‖² is the variance of logit_i − logit_j over
    states, so that codes spend their few values on what changes an answer. Scaled back to the spread of the
    vectors that were given.

    Args:
        vectors_VE: of the items.
        state_NE: states that are compared with them, N ≥ 2.

    >>> weighed(torch.eye(2), torch.tensor([[9.0, 1.0], [-9.0, 1.0]]))[:, 1].tolist()  # states never differ there
    [0.0, 0.0]
    """
    covariance_EE = torch.cov(state_NE.T.double())
    size_E, axis_EE = torch.linalg.eigh(covariance_EE)
    root_EE = axis_EE * size_E.clamp(min=0).sqrt() @ axis_EE.T
    # Piece by piece: a million vectors in double precision, and again multiplied, are a gigabyte.
    found = torch.cat([(piece.double() @ root_EE).float() for piece in vectors_VE.split(_AT_ONCE)])
    return found.mul_(vectors_VE.std() / found.std().clamp(min=1e-12))


def _narrowed(vectors_VE: Tensor, width: int) -> Tensor:
    """[V, D] centred vectors; their principal components where they are wider, filled up with 0 where they are not."""
    centred = vectors_VE - vectors_VE.mean(0)
    if centred.shape[1] <= width:
        return nn.functional.pad(centred, (0, width - centred.shape[1]))
    _, axes = torch.linalg.eigh(centred.T @ centred)
    return centred @ axes[:, -width:].flip(1)


def _product(table: ProductTable, wanted_VD: Tensor, seed: int) -> None:
    width = table.book.embedding_dim
    whole = nn.functional.pad(wanted_VD, (0, table.books * width - table.embedding_dim))
    # Dealt out in turn, so that every book has its share of the components that matter.
    parts_VMS = whole.unflatten(1, (width, table.books)).transpose(1, 2).numpy()
    for book in range(table.books):
        points = np.ascontiguousarray(parts_VMS[:, book])
        means = centroids(points, table.rows, seed + book)
        table.codes_VM[:, book] = torch.from_numpy(assign(points, means))
        table.book.weight[book * table.rows : (book + 1) * table.rows] = torch.from_numpy(means)


def _residual(table: Hashed, rest_VD: np.ndarray, seed: int) -> None:
    for book in range(table.books):
        means = centroids(rest_VD, table.rows, seed + book)
        near_V = assign(rest_VD, means)
        rest_VD = rest_VD - means[near_V]
        table.codes_VM[:, book] = torch.from_numpy(near_V)
        table.book.weight[book * table.rows : (book + 1) * table.rows] = torch.from_numpy(means)
