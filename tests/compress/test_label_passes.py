"""Every pass on networks of pictures and classes: it works, or says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.compress.test_channels import calibration, logits
from tests.models.label.conftest import make, rows

from shopstill.compress import PASSES
from shopstill.compress._chain import misfit
from shopstill.compress._linears import linears
from shopstill.core.config import build as build_config
from shopstill.core.errors import ConfigError
from shopstill.models import families
from shopstill.models.compact.int8_static import Int8Static
from shopstill.models.label import LabelRows
from shopstill.testing.passes import CASES

__all__ = ["make", "rows"]

REFUSED = {
    "feed_forward": "pictures",
    "hashed": "pictures",
    "heads": "pictures",
    "int8_aware": "pictures",
    "int8_dynamic": "pictures",
    "layers": "pictures",
    "product_vectors": "all",
    "share_layers": "pictures",
    "tables": "pictures",
    "vocabulary": "pictures",
    "width": "pictures",
}
"""Passes that these models refuse: those of pictures alone, or all."""

MEASURED = ("int8_aware", "int8_dynamic")
"""Passes that refuse a network by what they measure, not by its configuration."""

OWN: dict[str, dict[str, Any]] = {"distil": {"model": {"kind": "small_cnn", "channels": [4, 8]}}}
"""Passes that name a model, which must be one of classes."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mobilenet", "both, cross"])
@pytest.mark.parametrize("name", PASSES.names())
def test_a_pass_works_or_says_why_not(name: str, kind: str, make: Any, rows: LabelRows, tmp_path: Path) -> None:
    model, before = make(kind), make(kind).network.state_dict()
    one = build_config(PASSES.get(name), OWN.get(name, CASES.get(name, [{}])[0]))
    if REFUSED.get(name) == "all" or (REFUSED.get(name) == "pictures" and kind == "mobilenet"):
        with pytest.raises(ConfigError, match=";"):
            one.apply(model, calibration(rows, tmp_path / "fit"))
        assert misfit(one, model.network.config) or name in MEASURED
        return
    assert misfit(one, model.network.config) is None
    made = one.apply(model, calibration(rows, tmp_path / "fit"))
    assert all(torch.equal(value, before[key]) for key, value in model.network.state_dict().items())
    families.save(made, tmp_path / "made")
    found = logits(made, rows)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(logits(families.load(tmp_path / "made"), rows), found)


def test_beside_convolutions_a_head_is_not_worth_its_rounding(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    """Rounding the head alone would cost quality, and save nothing that could be measured."""
    given = calibration(rows, tmp_path / "fit")
    with pytest.raises(ConfigError, match="nothing that it could quantize; leave the pass out"):
        PASSES.get("int8_dynamic")().apply(make("resnet 18"), given)
    made = PASSES.get("int8_static")(bound=None).apply(make("both, cross"), given)
    found = {name for name, part in made.network.named_modules() if isinstance(part, Int8Static)}
    assert found
    assert all("reader" not in name for name in found)
    assert linears(make("resnet 18").network).keys() == {"head"}


def test_a_bag_without_needless_tokens_says_the_same(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    for kind in ("bag", "bag of tokens"):
        model = make(kind)
        made = PASSES.get("vocabulary")(characters="used").apply(model, calibration(rows, tmp_path / "fit"))
        assert made.parameters < model.parameters
        np.testing.assert_allclose(logits(made, rows), logits(model, rows), atol=1e-6)
        families.save(made, tmp_path / kind)
        np.testing.assert_array_equal(logits(families.load(tmp_path / kind), rows), logits(made, rows))
