"""What passes make is exported as it is: the graph scores as the model does, and stays as small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopstill.compress import PASSES
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
from shopstill.core.config import build as build_config
from shopstill.core.errors import ConfigError
from shopstill.export.bundle import About, write_bundle
from shopstill.models import build
from shopstill.serve.bundle.load import load_bundle
from shopstill.testing import _pass_models as models
from shopstill.testing.passes import CASES

pytest.importorskip("onnxruntime")

STRUCTURE = [Layers(count=2, rows=16), Heads(share=0.5), FeedForward(share=0.5), Width(width=12), Vocabulary()]
CHAINS = {
    "smaller, factorised, clustered": ("cross", [*STRUCTURE, Recover(), Factorise(rank=5), Clusters(bits=4)]),
    "shared, masked, hashed": ("cross", [ShareLayers(), Weights(sparsity=0.8), Hash(rows=16)]),
    "tables": ("static towers", [Vocabulary(), Factorise(rank=4, linears=False, tables=True), Clusters(bits=2)]),
}

OF_PICTURES = ("channels",)
"""Passes that take no model of texts alone; what they make is exported in ``test_channels.py``."""


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


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PASSES.names() if name not in OF_PICTURES])
def test_what_any_pass_makes_is_served_as_it_was_judged_and_stays_small(name: str, tmp_path: Path) -> None:
    # Constants of few numbers are folded, packed or not: layers must be wide enough to tell.
    kinds = models.configurations(models.start(tmp_path / "start", {"width": 48, "feed_forward": 96}))
    one = build_config(PASSES.get(name), CASES.get(name, [{}])[0])
    refusals = []
    for kind in ("cross, first token", "static towers"):
        try:
            made = one.apply(models.model(kinds[kind]), models.calibration(tmp_path / "fit"))
        except ConfigError as refusal:
            refusals.append(str(refusal))
            continue
        build.save(made, tmp_path / "saved")
        loaded = build.load(tmp_path / "saved")
        write_bundle(loaded, tmp_path / "bundle", about=About(name=name), rows=models.pairs(made))
        files = (tmp_path / "saved" / "model.safetensors", tmp_path / "bundle" / "weights.safetensors")
        saved, shipped = (path.stat().st_size for path in files)
        assert shipped < 1.1 * saved + 8192, "the graphs unpack what the pass has packed"
        return
    pytest.fail(f"no model is taken: {refusals}")
