"""Schemathesis over the whole description: whatever is asked, nothing breaks, and every answer is as described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.serve.app.conftest import Memory

from shopstill.serve.app.create import create_app
from shopstill.serve.app.keys import add_key
from shopstill.serve.app.settings import Settings

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 12
TOO_LONG = (413, 414)
"""Refusals of what is faulty, too, which the check of faulty data does not count as such."""

QUIET = ["GET /healthz", "GET /lab/report", "GET /lab/state", "GET /metrics", "GET /models", "GET /readyz"]
"""What takes nothing, so that nothing wrong can be sent."""


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Texts as they are: they are to be lines, and seldom will."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture
def fuzzed(tmp_path: Path) -> tuple[Any, dict[str, str]]:
    """The description of an app that lets everything be changed, and the headers of who may."""
    keys, models = tmp_path / "keys.json", tmp_path / "models"
    (models / "good").mkdir(parents=True)
    (models / "good" / "manifest.json").write_text("{}")
    secret = add_key(keys, ["products", "models"], "fuzz")
    made = create_app(Memory(), Settings(hosts=("*",), keys=keys, models=models, queue_ms=5_000))
    return schemathesis.openapi.from_asgi("/openapi.json", made), {"Authorization": f"Bearer {secret}"}


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_whatever_is_asked_is_answered_as_described(fuzzed: tuple[Any, dict[str, str]], mode: Any) -> None:
    described, headers = fuzzed
    operations = {found.ok().label: found.ok() for found in described.get_all_operations()}
    assert len(operations) == 24
    for label, operation in operations.items():
        if not (mode.is_negative and label in QUIET):
            fuzz(operation, mode, headers)


def fuzz(operation: Any, mode: Any, headers: dict[str, str]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(headers=headers)
        # What the description allows may still be refused: NUL in a text, neither documents nor ids.
        unasked = [schemathesis.checks.positive_data_acceptance]
        if answer.status_code in TOO_LONG:
            unasked.append(schemathesis.checks.negative_data_rejection)
        case.validate_response(answer, excluded_checks=unasked)

    ask()
