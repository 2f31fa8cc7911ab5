"""Metrics in the form of Prometheus: requests, stages, queues, refusals, and what is being served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shopstill.serve.app.admission import Lane
from shopstill.serve.app.served import Engine
from shopstill.serve.forms import Answer

TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Metrics:
    """The metrics of one app, in a registry of its own.

    Args:
        engine: whose state is told at each scrape.
        lanes: whose queues are told.
    """

    def __init__(self, engine: Engine, lanes: Iterable[Lane]) -> None:
        self.registry = registry = CollectorRegistry()
        self._request_s = Histogram(
            "shopstill_request_seconds",
            "Time from the headers of a request to the end of its answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._stage_s = Histogram(
            "shopstill_stage_seconds", "Time of each stage of a search.", ["stage"], buckets=_BUCKETS, registry=registry
        )
        self._requests = _counter("shopstill_requests", "Requests.", ["method", "route", "status"], registry)
        self._refused = _counter("shopstill_refused", "Requests that were refused.", ["kind"], registry)
        self._errors = _counter("shopstill_errors", "Requests that failed for no fault of theirs.", ["kind"], registry)
        self._partial = _counter("shopstill_incomplete_answers", "Answers cut short by their budget.", [], registry)
        self.in_flight = Gauge("shopstill_requests_in_flight", "Requests that have no answer yet.", registry=registry)
        # Looking up a child by its labels takes longer than counting.
        self._counted: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}
        self._stages: dict[str, Histogram] = {}
        _watch(lanes, registry)
        registry.register(_Served(engine))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request that was answered."""
        key = (method if method in _METHODS else "OTHER", route, status)
        if key not in self._counted:
            counted = self._request_s.labels(*key[:2]), self._requests.labels(key[0], route, str(status))
            self._counted[key] = counted
        took, counter = self._counted[key]
        took.observe(seconds)
        counter.inc()
        if status in (408, 413, 429, 503):
            self._refused.labels(_REASONS[status]).inc()

    def error(self, kind: str) -> None:
        """Note an error that nobody foresaw."""
        self._errors.labels(kind).inc()

    def answer(self, answer: Answer) -> None:
        """Note the stages of an answer."""
        for stage, took_ms in answer.stages_ms.items():
            if stage not in self._stages:
                self._stages[stage] = self._stage_s.labels(stage)
            self._stages[stage].observe(took_ms / 1000)
        if not answer.complete:
            self._partial.inc()

    def written(self) -> bytes:
        """All metrics as text; blocks while the engine is asked."""
        return generate_latest(self.registry)


_REASONS = {408: "slow", 413: "large", 429: "rate", 503: "busy"}


def _counter(name: str, told: str, labels: list[str], registry: CollectorRegistry) -> Counter:
    return Counter(name, told, labels, registry=registry)


def _watch(lanes: Iterable[Lane], registry: CollectorRegistry) -> None:
    waiting = Gauge("shopstill_queue", "Requests that wait for a worker.", ["lane"], registry=registry)
    running = Gauge("shopstill_working", "Workers that are busy.", ["lane"], registry=registry)
    for lane in lanes:
        waiting.labels(lane.name).set_function(partial(_waiting, lane))
        running.labels(lane.name).set_function(partial(_running, lane))


def _waiting(lane: Lane) -> float:
    return lane.waiting


def _running(lane: Lane) -> float:
    return lane.running


class _Served(Collector):
    """What is being served, asked anew at each scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the names are known, and registering asks no engine."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of the engine."""
        facts = self._engine.facts()
        for name, told in (
            ("products", "Products that can be found."),
            ("pending", "Changes since the index was built."),
            ("index_bytes", "Size of the index on disk."),
        ):
            yield GaugeMetricFamily(f"shopstill_{name}", told, value=float(facts.get(name, 0)))
        yield _info("generation", "Generation of the index.", {"generation": str(facts.get("generation", ""))})
        yield self._models()
        yield from _disagreement(self._engine.disagreement())

    def _models(self) -> GaugeMetricFamily:
        labels = ["name", "kind", "digest"]
        family = GaugeMetricFamily("shopstill_model_active", "1 for the model that answers.", labels=labels)
        for model in self._engine.models():
            family.add_metric([model.name, model.kind, model.digest], float(model.active))
        return family


def _info(name: str, told: str, labels: dict[str, str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"shopstill_{name}_info", told, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def _disagreement(found: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    if not found.get("model"):
        return
    for name, told in (
        ("sampled", "Searches the shadow scored."),
        ("dropped", "Searches the shadow had no time for."),
        ("failed", "Searches the shadow failed on."),
    ):
        yield GaugeMetricFamily(f"shopstill_shadow_{name}", told, value=float(found.get(name, 0)))
    yield GaugeMetricFamily("shopstill_shadow_alarm", "1 where it disagrees too much.", value=float(found["alarm"]))
    labels = ["slice", "measure"]
    family = GaugeMetricFamily("shopstill_shadow_agreement", "How far it agrees, by slice.", labels=labels)
    for name, measured in found.get("slices", {}).items():
        for measure, value in measured.items():
            if value is not None:
                family.add_metric([name, measure], float(value))
    yield family
