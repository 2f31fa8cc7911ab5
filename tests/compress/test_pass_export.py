"""What passes make is exported as it is: the graph scores as the model does, and stays as small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopstill.compress._chain import check_chain
from shopstill.compress.clusters import Clusters
from shopstill.compress.feed_forward import FeedForward
from shopstill.compress.hashed import Hash
from shopstill.compress.heads import Heads
from shopstill.compress.layers import Layers
from shopstill.compress.low_rank import Factorise
from shopstill.compress.recover import Recover
from shopstill.compress.share_layers import ShareLayers
from shopstill.compress.vocabulary import Vocabulary
from shopstill.compress.weights import Weights
from shopstill.compress.width import Width
from shopstill.export.bundle import About, write_bundle
from shopstill.models import build
from shopstill.serve.engine import load_bundle
from shopstill.testing import _pass_models as models

pytest.importorskip("onnxruntime")

STRUCTURE = [Layers(count=2, rows=16), Heads(share=0.5), FeedForward(share=0.5), Width(width=12), Vocabulary()]
CHAINS = {
    "smaller, factorised, clustered": ("cross", [*STRUCTURE, Recover(), Factorise(rank=5), Clusters(bits=4)]),
    "shared, masked, hashed": ("cross", [ShareLayers(), Weights(sparsity=0.8), Hash(rows=16)]),
    "tables": ("static towers", [Vocabulary(), Factorise(rank=4, linears=False, tables=True), Clusters(bits=2)]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "chain"), CHAINS.values(), ids=CHAINS)
def test_a_chain_is_served_as_it_was_judged(kind: str, chain: list[Any], tmp_path: Path) -> None:
    check_chain(chain)
    made = models.model(models.configurations(models.start(tmp_path / "start"))[kind])
    for number, one in enumerate(chain):
        made = one.apply(made, models.calibration(tmp_path / f"fit{number}"))
    build.save(made, tmp_path / "saved")
    loaded, rows = build.load(tmp_path / "saved"), models.pairs(made)
    write_bundle(loaded, tmp_path / "bundle", about=About(name="chain"), rows=rows)
    queries, products = rows.texts(np.arange(len(rows)))
    served = load_bundle(tmp_path / "bundle").score(list(zip(queries, products, strict=True)))
    np.testing.assert_allclose(served, models.scores(made), atol=1e-4)
