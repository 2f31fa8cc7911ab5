"""Commands around a server: answer shoppers with a bundle, and make keys for those who may change what is served."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shopstill.core.config import build, override
from shopstill.core.errors import ConfigError

if TYPE_CHECKING:
    from shopstill.serve.app.settings import Settings
    from shopstill.serve.engine.engine import Engine

log = logging.getLogger(__name__)

Commands = argparse._SubParsersAction

_PLACES = ("host", "port", "keys", "models", "report")
"""Settings that have an option of their own."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    _add_serve(commands)
    _add_key(commands)


def _add_serve(commands: Commands[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "serve",
        help="answer searches with a bundle: a page, and an API",
        description="Answer searches with a bundle, histories with --recommend, products with --categorise: a page, "
        "and an API. No torch is needed.",
    )
    one.set_defaults(do=_serve)
    one.add_argument(
        "bundle", type=Path, nargs="?", help="folder that shopstill export wrote; without one, words alone find"
    )
    one.add_argument(
        "--products", type=Path, help="catalogue of a new index: .jsonl, .parquet, .csv, .tsv, a shop, or a run"
    )
    one.add_argument(
        "--index", type=Path, metavar="FOLDER", help="where the index lies (default: indexes/BUNDLE, or indexes/words)"
    )
    one.add_argument("--anew", action="store_true", help="build the index anew from --products; changes to it are lost")
    one.add_argument(
        "--also", type=Path, action="append", default=[], metavar="BUNDLE", help="load it beside, to compare"
    )
    one.add_argument(
        "--recommend", type=Path, action="append", default=[], metavar="BUNDLE", help="a model of histories; again"
    )
    one.add_argument(
        "--categorise", type=Path, action="append", default=[], metavar="BUNDLE", help="a model of classes; again"
    )
    one.add_argument("--shadow", type=Path, metavar="BUNDLE", help="have it score a sample of the searches unseen")
    one.add_argument("--shadow-share", type=float, default=0.05, metavar="SHARE", help="of the searches, from 0 to 1")
    one.add_argument("--alarm", type=float, default=0.5, metavar="SHARE", help="of the first ten that a shadow shares")
    one.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine alone)")
    one.add_argument("--port", type=int, help="port to listen on (default: 8080)")
    one.add_argument("--keys", type=Path, metavar="FILE", help="API keys, which shopstill key makes")
    one.add_argument("--models", type=Path, metavar="FOLDER", help="bundles that may be loaded over HTTP")
    one.add_argument("--report", type=Path, metavar="FILE", help="a run's report.html, for the lab")
    one.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another setting, such as workers=4"
    )
    one.add_argument("-q", "--quiet", action="store_true", help="no line for each request")


def _add_key(commands: Commands[argparse.ArgumentParser]) -> None:
    key = commands.add_parser(
        "key", help="make an API key", description="Make an API key; it is shown once, and only its hash is kept."
    )
    key.set_defaults(do=_key)
    key.add_argument("keys", type=Path, help="file of keys; made where there is none")
    key.add_argument("--scope", action="append", default=[], metavar="SCOPE", help="products, models or metrics; again")
    key.add_argument("--name", required=True, help="whose key it is")


def _serve(options: argparse.Namespace) -> None:
    from shopstill.serve.app.run import log_to_stderr, serve

    settings = _settings(options)
    engine = _opened(options)
    if not options.quiet:
        log_to_stderr()
    serve(engine, settings, ready=_ready("a search such as /search?q=mug, or the page"))


def _opened(options: argparse.Namespace) -> Engine:
    """The index, made where there is none, with all models that are asked for."""
    from shopstill.serve.bundle.manifest import read
    from shopstill.serve.engine.engine import Engine
    from shopstill.serve.engine.shadow import Shadowing

    if options.shadow and options.bundle is None:
        raise ConfigError(f"--shadow {options.shadow}: is compared with a model that answers; name its bundle, too")
    index = options.index or Path("indexes") / (read(options.bundle).name if options.bundle else "words")
    indexed(index, options.bundle, options.products, anew=options.anew)
    shadow = (
        Shadowing(bundle=options.shadow, share=options.shadow_share, alarm=options.alarm) if options.shadow else None
    )
    engine = Engine.open(index, options.bundle, shadow=shadow)
    try:
        beside(engine, options.also)
        for bundle in options.recommend:
            engine.recommenders.load(bundle)
        for bundle in options.categorise:
            engine.categorisers.load(bundle)
    except BaseException:
        engine.close()
        raise
    return engine


def indexed(index: Path, bundle: Path | None, products: Path | None, *, anew: bool = False) -> None:
    """Make an index, where there is none or it is to be made anew.

    Raises:
        ConfigError: there is none, and no catalogue to make it of.
    """
    from shopstill.serve.engine.engine import create
    from shopstill.serve.index.place import exists
    from shopstill.serve.products import read_products

    if exists(index) and not anew:
        if products is not None:
            log.info("%s: this index is served, with all changes to it; --anew builds it from %s", index, products)
        return
    if products is None:
        raise ConfigError(f"{index}: no index here; name the catalogue to make one of: --products FILE")
    found, count = read_products(products)
    log.info("%s: indexing %s products of %s", index, f"{count:,}", products)
    create(index, bundle, found, count, anew=anew)


def beside(engine: Engine, bundles: list[Path]) -> None:
    """Load more models, each under its own name, where it is not loaded already."""
    from shopstill.serve.bundle.manifest import read

    for bundle in bundles:
        manifest = read(bundle)
        if manifest.digest not in {state.digest for state in engine.models()}:
            engine.load(manifest.name, bundle)


def _settings(options: argparse.Namespace) -> Settings:
    from shopstill.serve.app.settings import Settings

    values: dict[str, Any] = {name: given for name in _PLACES if (given := getattr(options, name)) is not None}
    for change in options.set:
        name, found, value = change.partition("=")
        if not found:
            raise ConfigError(f"--set {change}: write it as KEY=VALUE, such as workers=4")
        values = override(values, name.strip(), yaml.safe_load(value))
    return build(Settings, values, "--set")


def _ready(what: str) -> Callable[[str], None]:
    def ready(address: str) -> None:
        sys.stderr.write(f"listening on {address} for {what}; stop with Ctrl-C\n")

    return ready


def _key(options: argparse.Namespace) -> None:
    from shopstill.serve.app.keys import add_key

    secret = add_key(options.keys, options.scope, options.name)
    sys.stdout.write(f"{secret}\n")
    sys.stderr.write(f"{options.keys}: keeps its hash alone; send it as: Authorization: Bearer {secret[:6]}…\n")
