"""What a server allows: where it listens, how much it takes, and who may change what it serves."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from shopstill.core.config import config

Seconds = Annotated[float, Field(gt=0, le=3600)]
Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]

_HERE = ("localhost", "127.0.0.1", "[::1]")


@config
class Settings:
    """The settings of a server; the defaults are for one that only its own machine reaches.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 for any that is free.
        hosts: names under which the server is asked for, beside ``host``; ``*`` for any name.
        origins: other origins whose pages may ask from a browser, such as ``https://shop.example``.
        workers: searches that run at once; 0 for one a core.
        heavy_workers: rerank, embed, categorise, why and compare that run at once, apart from searches.
        queue_ms: longest wait for a worker in a burst; where more is asked for than that, next to nobody may wait.
            Ten times as long while a model is loaded.
        change_queue_s: the same for changes to products and models, one of which runs at a time.
        timeout_s: when a search that still runs is given up on.
        rate: requests a second for each key or client; 0 for no limit.
        burst: requests at once that the rate lets pass.
        search_bytes: longest body of most requests.
        texts_bytes: longest body that brings texts: rerank, embed, recommend, one product.
        pictures_bytes: longest body that brings pictures.
        bulk_bytes: longest body of products.
        bodies_bytes: bodies of all requests together.
        body_s: time for a body to arrive.
        bulk_s: time for a body of products to arrive.
        header_s: time for headers to arrive.
        header_bytes: longest request line and headers together.
        url_bytes: longest address.
        connections: connections open at once.
        query_chars: longest query.
        documents: texts of one rerank or embed, products of one categorise.
        document_chars: longest of these texts.
        pictures: pictures of one request.
        picture_bytes: largest file of these.
        picture_pixels: of one picture, as the file has them.
        keys: file of API keys; without one nothing can be changed over HTTP.
        open_metrics: whether metrics and the lab need no key.
        log_texts: whether logs show what shoppers typed.
        models: folder of bundles that may be loaded over HTTP; without one none can.
        report: the report that the lab shows.
        drain_s: time between the signal to stop and the last new request, so that a balancer sees it.
        stop_s: longest wait for requests that are in flight then.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8080, ge=0, le=65_535)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    workers: int = Field(default=0, ge=0, le=64)
    heavy_workers: int = Field(default=1, ge=1, le=64)
    queue_ms: float = Field(default=100, gt=0, le=60_000)
    change_queue_s: Seconds = 30
    timeout_s: Seconds = 30
    rate: float = Field(default=0, ge=0, le=1e6)
    burst: int = Field(default=20, ge=1, le=1_000_000)
    search_bytes: Bytes = 64 << 10
    texts_bytes: Bytes = 4 << 20
    pictures_bytes: Bytes = 16 << 20
    bulk_bytes: Bytes = 64 << 20
    bodies_bytes: Bytes = 256 << 20
    body_s: Seconds = 10
    bulk_s: Seconds = 120
    header_s: Seconds = 10
    header_bytes: Bytes = 32 << 10
    url_bytes: Bytes = 8 << 10
    connections: int = Field(default=1_000, ge=1, le=100_000)
    query_chars: int = Field(default=512, ge=1, le=512)
    documents: int = Field(default=1_000, ge=1, le=10_000)
    document_chars: int = Field(default=20_000, ge=1, le=100_000)
    pictures: int = Field(default=16, ge=1, le=1_000)
    picture_bytes: Bytes = 4 << 20
    picture_pixels: int = Field(default=16_000_000, ge=1, le=80_000_000)
    keys: Path | None = None
    open_metrics: bool = True
    log_texts: bool = False
    models: Path | None = None
    report: Path | None = None
    drain_s: float = Field(default=0, ge=0, le=300)
    stop_s: float = Field(default=30, ge=1, le=3600)

    @field_validator("origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, found, rest = origin.partition("://")
            if not found or scheme not in ("http", "https") or not rest or set(rest) & set("*/?#@ "):
                raise ValueError(f"{origin!r} is not one origin; list each one in full, such as https://shop.example")
        return origins

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Names that a request may be addressed to, without the port; empty for any."""
        if "*" in self.hosts:
            return frozenset()
        return frozenset(name.lower() for name in (*_HERE, _bracketed(self.host), *map(_bracketed, self.hosts)))


def _bracketed(host: str) -> str:
    """A host as it stands in a URL: an IPv6 address in brackets."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host
