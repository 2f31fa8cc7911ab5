"""A bundle's README.md: what the model is, how good, how large, and how to run it, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopstill.serve.bundle.manifest import HISTORIES, LABELS

_KINDS = {
    "cross": "a cross-encoder: it reads query and product together",
    "towers": "two towers: products are encoded ahead of time, and compared with the query as it comes",
    "joint": "a cross-encoder and two towers, whose scores are added",
    "sasrec": "a transformer that reads a shopper's history forwards and says which item comes next",
    "bert4rec": "a transformer that reads a shopper's history both ways and says which item comes next",
    "gru4rec": "a recurrent network that reads a shopper's history and says which item comes next",
    "item_mean": "vectors of items: the weighted mean of a shopper's history says which item comes next",
    "resnet": "a residual network that looks at a product's picture and says which class it is of",
    "mobilenet": "a network of inverted residuals that looks at a product's picture and says which class it is of",
    "efficientnet_lite": "an EfficientNet-Lite that looks at a product's picture and says which class it is of",
    "small_cnn": "a few convolutions that look at a product's picture and say which class it is of",
    "bag": "the mean of the vectors of a text's words and runs of letters, which says which class a product is of",
    "text_encoder": "a transformer that reads a product's text and says which class it is of",
    "both": "two networks that look at a product's picture and read its text, joined to say which class it is of",
}

_WITHOUT = """\
It needs no torch. The graphs are plain ONNX, and any runtime that reads external data runs them:
"""

_USE = """\
## Use

```python
import shopstill

bundle = shopstill.load_bundle("{folder}")
bundle.score([("red mug", "Steel mug, red, 12 oz")])   # a score a pair; higher is better

products = bundle.ahead(["Steel mug, red, 12 oz", "Blue chair"])   # everything about products, done once
products.score("red mug", [0, 1])                                  # while a shopper waits
```
"""

_USE_HISTORY = """\
## Use

```python
import shopstill

bundle = shopstill.load_bundle("path/to/this/folder")
bundle.recommend(bundle.item_ids[:3], limit=10)   # (id, score), best first, of what is not in the history
```

Items of a history that it does not know are passed over. All items are scanned in int8, {items:,} of them, and the best
are then scored exactly.
"""

_USE_LABEL = """\
## Use

```python
import shopstill

bundle = shopstill.load_bundle("path/to/this/folder")
{call}   # of each product (class, probability), the likeliest first
```

It knows {classes:,} classes, which `classes.json` names in the order of the logits.{pictures}
"""

_PIXELS = """ Its graph takes pixels of red, green and blue
from 0 to 255, {height} high and {width} wide: pictures turned as the camera was held, on white, and {fit}. What scales
pixels further is in the graph. Reading files needs Pillow (`pip install 'shopstill[vision]'`); ready pixels do not."""

_FITS = {
    "letterbox": "scaled with their proportions kept, between bars of white",
    "squash": "scaled to fill the whole",
}


def card(stated: Mapping[str, Any], folder: Path) -> str:
    """The card of a bundle whose files, but for the card and the manifest, lie in ``folder``."""
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    company = "is the same in any company" if stated["batch_invariant"] else "may change with the batch it is in"
    use, held = _use(stated), _parity
    if stated["kind"] in HISTORIES:
        held = _parity_history
    elif stated["kind"] in LABELS:
        held = _parity_label
    lines = [
        f"# {stated['name']}",
        "",
        f"This is {_KINDS[stated['kind']]}.",
        f"It takes {size / 1e6:.1f} MB; weights and arithmetic are {stated['scheme']}. A score {company}.",
        "",
        use,
        _WITHOUT,
        *_table(stated["graphs"]),
        "",
        *held(stated["parity"], stated["tolerance"]),
        *_part("Quality", stated["metrics"]),
        *_part("How it was made", stated["lineage"]),
        *_part("Measured on", stated["machine"]),
        *_part("Licences", stated["licences"], "None were stated. Ask whoever made the bundle before passing it on."),
        *_part("Made from", stated["fingerprints"]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _use(stated: Mapping[str, Any]) -> str:
    """How such a model is asked, as a program."""
    if stated["kind"] in HISTORIES:
        return _USE_HISTORY.format(items=stated["graphs"]["scan"]["outputs"]["score"]["shape"][1])
    if stated["kind"] not in LABELS:
        return _USE.format(folder="path/to/this/folder")
    form, given = stated["pictures"], []
    if stated["reading"]:
        given.append('["Steel mug, red, 12 oz"]')
    if form:
        given.append('pixels=bundle.pixels(["mug.jpg"])')
    pixels = _PIXELS.format(**{**form, "fit": _FITS[form["fit"]]}) if form else ""
    return _USE_LABEL.format(
        call=f"bundle.best({', '.join(given)}, limit=3)", classes=stated["outputs"], pictures=pixels
    )


def _table(graphs: Mapping[str, Any]) -> list[str]:
    rows = ["| graph | opset | takes | gives |", "|---|---|---|---|"]
    for graph in graphs.values():
        takes, gives = _named(graph["inputs"]), _named(graph["outputs"])
        rows.append(f"| `{graph['file']}` | {graph['opset']} | {takes or 'nothing'} | {gives} |")
    return rows


def _named(tensors: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} [{', '.join(map(str, tensor['shape']))}]" for name, tensor in tensors.items())


def _parity(found: Mapping[str, Any], tolerance: float) -> list[str]:
    pairs = f"{found['rows']:,} real pairs and {found['hostile']:,} that are hard to read"
    return [
        "## The same scores as the model that was judged",
        "",
        f"On {pairs}, scores differ by {found['difference']:.1e} at most; {tolerance:.0e} is allowed.",
        f"Kendall's tau of the two orders is {found['tau']:.4f}, and their NDCG@10 differs by {found['ndcg']:.1e}.",
        "",
    ]


def _parity_history(found: Mapping[str, Any], tolerance: float) -> list[str]:
    rows = f"{found['rows']:,} real histories and {found['hostile']:,} that are hard to read"
    return [
        "## The same items as the model that was judged",
        "",
        f"On {rows}, scores differ by {found['difference']:.1e} at most; {tolerance:.0e} is allowed.",
        f"Of the model's best ten items, {found['recall']:.2%} are recommended: the scan in int8 loses no more.",
        "",
        _cold(found["cold"]),
        "",
    ]


def _cold(count: int) -> str:
    """What becomes of products that nobody had taken up."""
    if not count:
        return "Products that nobody had taken up when it learnt cannot be scored, and are not in it."
    return (
        f"Of its items, {count:,} are cold: nobody had taken them up when it learnt, and their attributes speak for "
        "them. They were compared among themselves too. In the figures of quality they are not ranked."
    )


def _parity_label(found: Mapping[str, Any], tolerance: float) -> list[str]:
    rows = f"{found['rows']:,} real products and {found['hostile']:,} that are hard to read"
    return [
        "## The same classes as the model that was judged",
        "",
        f"On {rows}, logits differ by {found['difference']:.1e} at most; {tolerance:.0e} is allowed.",
        f"{found['agreement']:.2%} of the real ones are put into the same class.",
        "",
    ]


def _part(title: str, held: Any, otherwise: str = "") -> list[str]:
    if not held:
        return [f"## {title}", "", otherwise, ""] if otherwise else []
    text = json.dumps(held, indent=2, ensure_ascii=False, default=str)
    return [f"## {title}", "", "```json", text, "```", ""]
