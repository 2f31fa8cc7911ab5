from __future__ import annotations

import csv
import io
import os
import zipfile
from collections import Counter
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shopstill.core.errors import ConfigError
from shopstill.models import pretrained
from shopstill.models.vision import EfficientNetLite, MobileNet, PictureReader, ResNet, SmallCNN, Widths, body, counts
from shopstill.models.vision.efficientnet_lite import ours
from shopstill.models.vision.layers import ConvNorm, Style

FASHION = Path(os.environ.get("SHOPSTILL_DATA", "../shared/data")) / "fashion-images"
SUNGLASSES = (836, 837)
"""Of the 1,000 classes of ImageNet."""

published = pytest.mark.parametrize("variant", ["lite0", "lite2"])


def pixels(rows: int = 2, size: tuple[int, int] = (80, 60)) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (rows, *size, 3), generator=draw, dtype=torch.uint8)


def weights(variant: str) -> dict[str, Tensor]:
    try:
        return pretrained.image_weights(f"efficientnet-{variant}")
    except ConfigError as absent:
        pytest.skip(str(absent))


def _named(module: nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """The weights of a network under other names: parts of them replaced, one after the other."""
    return {
        reduce(lambda so_far, pair: so_far.replace(*pair), names.items(), k): v for k, v in module.state_dict().items()
    }


@pytest.mark.parametrize("depth", [18, 50])
def test_a_residual_network_is_that_of_transformers(depth: int) -> None:
    """An independent implementation with the same weights gives the same features."""
    transformers = pytest.importorskip("transformers")
    basic = depth == 18
    made = transformers.ResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128, 256, 512] if basic else [256, 512, 1024, 2048],
        depths=[2, 2, 2, 2] if basic else [3, 4, 6, 3],
        layer_type="basic" if basic else "bottleneck",
    )
    torch.manual_seed(0)
    theirs = transformers.ResNetModel(made).eval()
    mine = body(ResNet(depth=depth)).eval()  # type: ignore[arg-type]
    names = {
        "embedder.embedder.": "stem.",
        "encoder.stages.": "stages.",
        ".layers.": ".",
        ".layer.": ".block.",
        "convolution": "conv",
        "normalization": "norm",
    }
    mine.load_state_dict(_named(theirs, names))
    x = torch.randn(2, 3, 64, 48)
    with torch.inference_mode():
        found, expected = list(mine(x).values())[-1], theirs(x).last_hidden_state
    torch.testing.assert_close(found, expected)


@published
def test_published_weights_fit_every_place(variant: str) -> None:
    made = body(EfficientNetLite(variant=variant, start=None))  # type: ignore[arg-type]
    given, own = ours(weights(variant)), made.state_dict()
    assert given.keys() == own.keys()
    assert all(value.shape == own[name].shape for name, value in given.items())


@published
def test_published_weights_see_what_they_were_taught(variant: str) -> None:
    """Of 1,000 classes, pictures of sunglasses are named so: nothing stands in a wrong place, and pixels are scaled."""
    if not (FASHION / "images.zip").exists():
        pytest.skip("needs the fashion pictures; set SHOPSTILL_DATA")
    image = pytest.importorskip("PIL.Image")
    given = weights(variant)
    made = body(EfficientNetLite(variant=variant, start=None, scale=3))  # type: ignore[arg-type]
    made.load_state_dict(ours(given))
    with (FASHION / "styles.csv").open(encoding="utf-8") as file:
        wanted = [r["id"] for r in csv.DictReader(file) if r["articleType"] == "Sunglasses"]
    with zipfile.ZipFile(FASHION / "images.zip") as packed:
        there = {Path(name).stem: name for name in packed.namelist()}
        chosen = [packed.read(there[number]) for number in wanted if number in there][:12]
    pictures = [np.asarray(image.open(io.BytesIO(data)).convert("RGB").resize((60, 80))) for data in chosen]
    with torch.inference_mode():
        pooled = PictureReader(made).eval()(torch.from_numpy(np.stack(pictures))).pooled_BD
    named = Counter((pooled @ given["_fc.weight"].T + given["_fc.bias"]).argmax(-1).tolist())
    assert sum(named[number] for number in SUNGLASSES) >= 10, named


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": [1, 2]}, tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name, why in (
        ("no-such-network", "not a file, and not one of efficientnet-lite0"),
        (str(tmp_path / "list.pth"), "holds other things than weights"),
        (str(tmp_path / "text.pth"), "not a file of weights alone"),
    ):
        with pytest.raises(ConfigError, match=why):
            pretrained.image_weights(name)


def test_weights_in_a_file_are_read(tmp_path: Path) -> None:
    torch.save({"_bn1.bias": torch.ones(3)}, tmp_path / "some.pth")
    assert ours(pretrained.image_weights(str(tmp_path / "some.pth")))["last.norm.bias"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (9, 6), (80, 60)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_padding_is_that_of_tensorflow(size: tuple[int, int], kernel: int, stride: int) -> None:
    """``SAME``: ⌈n / stride⌉ places, and the filter's place counts from the pixel that the odd padding leaves."""
    from shopstill.models.vision.layers import PIXELS, Channels

    layer = ConvNorm(PIXELS, Channels("c", 4), Style(same=True, activation="none"), kernel, stride).eval()
    x = torch.randn(1, 3, *size)
    found = layer(x)
    assert found.shape[2:] == tuple(-(-n // stride) for n in size)
    total = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in size]
    high, wide = (kernel + stride * (n - 1) for n in found.shape[2:])
    whole = torch.zeros(1, 3, high, wide)
    top, left = (n // 2 for n in total)
    whole[:, :, top : top + size[0], left : left + size[1]] = x[:, :, : high - top, : wide - left]
    expected = layer.norm(nn.functional.conv2d(whole, layer.conv.weight, stride=stride))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "config",
    [
        ResNet(width=0.125),
        MobileNet(width=0.25, last=32),
        MobileNet(width=0.25, squeeze=True, stem="small"),
        SmallCNN(),
    ],
    ids=lambda config: config.kind,
)
def test_a_network_is_rebuilt_from_its_counts(config: Any) -> None:
    usual = body(config)
    narrow = {name: max(1, count // 2) for name, count in counts(usual).items()}
    made = body(config, Widths(narrow))
    assert counts(made) == narrow
    assert sum(p.numel() for p in made.parameters()) < 0.5 * sum(p.numel() for p in usual.parameters())
    assert PictureReader(made).eval()(pixels()).pooled_BD.shape == (2, made.out.count)


def test_pixels_are_scaled_inside() -> None:
    made = PictureReader(body(SmallCNN())).eval()
    found = made(pixels())
    torch.testing.assert_close(made(pixels().float()).pooled_BD, found.pooled_BD)
    scaled = ((pixels().float() - 127) / 128).permute(0, 3, 1, 2)
    torch.testing.assert_close(list(made.body(scaled).values())[-1], found.map_BCHW)


@pytest.mark.parametrize("scale", [0.5, 0.7, 2.0])
def test_a_scaled_picture_is_one_given_larger_or_smaller(scale: float) -> None:
    given = pixels()
    plain, other = (body(EfficientNetLite(start=None, scale=n)).eval() for n in (1.0, scale))
    other.load_state_dict(plain.state_dict())
    size = tuple(round(scale * side) for side in given.shape[1:3])
    scaled = nn.functional.interpolate(given.permute(0, 3, 1, 2).float(), size, mode="bilinear")
    found = PictureReader(other).eval()(given).pooled_BD
    expected = PictureReader(plain).eval()(scaled.permute(0, 2, 3, 1)).pooled_BD
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
