"""Under load: who works, who waits, who is refused."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.serve.app.asgi import Got, call, scope
from tests.serve.app.conftest import Memory

from shopstill.serve.app.admission import Lane
from shopstill.serve.app.create import create_app
from shopstill.serve.app.errors import Refusal
from shopstill.serve.app.settings import Settings

SLOW_S = 0.02
LINE = b'{"id": "1", "title": "a"}'


async def timed(app: Any, path: str = "/search") -> tuple[Got, float]:
    began = time.perf_counter()
    got = await call(app, scope("GET", path))
    return got, time.perf_counter() - began


def test_more_than_it_holds_is_refused_at_once_and_the_rest_keeps_its_latency() -> None:
    engine = Memory(slow_s=SLOW_S)
    app = create_app(engine, Settings(workers=2, queue_ms=20))

    async def load() -> tuple[list[tuple[Got, float]], tuple[Got, float]]:
        for _ in range(30):
            await timed(app)
        # Five times what two workers do in that time.
        asked = []
        for _ in range(150):
            asked.append(asyncio.create_task(timed(app)))
            await asyncio.sleep(SLOW_S / 10)
        return await asyncio.gather(*asked), await timed(app)

    answers, after = asyncio.run(load())
    served = [took for got, took in answers if got.status == 200]
    refused = [(got, took) for got, took in answers if got.status == 503]
    assert len(served) + len(refused) == 150
    assert 20 < len(served) < 90
    assert sorted(served)[len(served) // 2] < 5 * SLOW_S
    assert sorted(served)[len(served) * 9 // 10] < 10 * SLOW_S
    assert {got.headers["retry-after"] for got, _ in refused} == {"1"}
    assert sorted(took for _, took in refused)[len(refused) // 2] < SLOW_S
    assert after[0].status == 200
    assert after[1] < 5 * SLOW_S


def lane(workers: int = 1, wait_s: float = 1.0, limit_s: float | None = None, **options: Any) -> Lane:
    return Lane("test", workers, wait_s, limit_s, **options)


async def start(made: Lane, work: Callable[[], object], **options: Any) -> asyncio.Task[object]:
    task = asyncio.create_task(made.run("work", work, **options))
    await asyncio.sleep(0)
    return task


def test_a_client_that_has_gone_begins_no_work() -> None:
    done: list[int] = []

    async def gone() -> bool:
        return True

    async def load() -> list[Any]:
        made = lane()
        tasks = [await start(made, partial(time.sleep, 0.05))]
        tasks.append(await start(made, partial(done.append, 1), gone=gone))
        tasks.append(await start(made, partial(done.append, 2)))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert (made.running, made.waiting) == (0, 0)
        made.close()
        return results

    results = asyncio.run(load())
    assert isinstance(results[1], Refusal)
    assert results[1].status == 499
    assert done == [2]


def test_who_is_cancelled_while_waiting_leaves_the_queue_sound() -> None:
    async def load() -> None:
        made = lane(workers=2)
        tasks = [await start(made, partial(time.sleep, 0.03)) for _ in range(8)]
        for task in tasks[3:6]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert (made.running, made.waiting) == (0, 0)
        assert made.expected_wait() == 0
        assert await made.run("work", lambda: 7) == 7
        made.close()

    asyncio.run(load())


def test_nobody_waits_longer_than_the_longest_wait() -> None:
    async def load() -> None:
        made = lane(wait_s=0.03)
        first = await start(made, partial(time.sleep, 0.4))
        began = time.perf_counter()
        with pytest.raises(Refusal, match="in vain"):
            await made.run("work", lambda: 1)
        assert 0.1 < time.perf_counter() - began < 0.3
        await first
        assert await made.run("work", lambda: 1) == 1
        made.close()

    asyncio.run(load())


async def taught(made: Lane, seconds: float) -> None:
    """Let a lane learn what its work takes."""
    for _ in range(30):
        await made.run("work", partial(time.sleep, seconds))
    await asyncio.sleep(0.1)


def test_a_stall_is_waited_out_where_no_more_is_asked_for_than_can_be_done() -> None:
    async def load() -> None:
        made = lane(wait_s=0.2)
        await taught(made, 0.02)
        stall = await start(made, partial(time.sleep, 0.5))
        tasks = []
        for _ in range(15):
            tasks.append(await start(made, partial(time.sleep, 0.02)))
            await asyncio.sleep(0.03)
        assert made.waiting > 10
        await asyncio.gather(stall, *tasks)
        made.close()

    asyncio.run(load())


@pytest.mark.parametrize("loading", [True, False])
def test_while_a_model_is_loaded_searches_wait_rather_than_be_refused(loading: bool) -> None:
    async def load() -> None:
        models, done = lane(), threading.Event()
        made = lane(wait_s=0.1, stalled_by=models)
        await taught(made, 0.02)
        stall = await start(models, done.wait) if loading else None
        # Half a second of work at once, where a tenth may wait.
        tasks = [await start(made, partial(time.sleep, 0.02)) for _ in range(25)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        refused = sum(isinstance(outcome, Refusal) for outcome in outcomes)
        assert refused == 0 if loading else refused > 5
        done.set()
        if stall is not None:
            await stall

    asyncio.run(load())


def test_where_too_much_is_asked_for_who_waited_long_makes_way() -> None:
    async def load() -> None:
        made = lane(wait_s=0.2)
        await taught(made, 0.002)
        tasks = [await start(made, partial(time.sleep, 0.4))]
        old = await start(made, lambda: "old")
        await asyncio.sleep(0.3)
        while not made.full("work"):
            tasks.append(await start(made, lambda: "more"))
        with pytest.raises(Refusal, match="too much to do"):
            await made.run("work", lambda: "late")
        with pytest.raises(Refusal, match="in vain"):
            await old
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert (made.running, made.waiting) == (0, 0)
        assert await made.run("work", lambda: "after") == "after"
        made.close()

    asyncio.run(load())


def test_where_too_much_is_asked_for_a_request_is_let_in_only_shortly_before_its_turn() -> None:
    async def load() -> None:
        made, done = lane(wait_s=2.0), threading.Event()
        await taught(made, 0.06)
        running = await start(made, done.wait)
        # Three seconds of work; who gives up waiting has asked for it nonetheless.
        others = [await start(made, partial(time.sleep, 0.06)) for _ in range(50)]
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert (made.running, made.waiting) == (1, 0)
        assert made.full("work")
        await asyncio.sleep(0.1)
        assert made.expected_wait() > 2
        assert not made.full("work")
        done.set()
        await running
        made.close()

    asyncio.run(load())


def test_clients_that_wait_for_their_answers_are_not_refused() -> None:
    async def client(made: Lane) -> None:
        for _ in range(20):
            await made.run("work", partial(time.sleep, 0.004))

    async def load() -> None:
        made = lane(workers=2, wait_s=0.25)
        await asyncio.gather(*(client(made) for _ in range(8)))
        made.close()

    asyncio.run(load())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is of a process")
def test_threads_stand_back_where_they_should() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async def load() -> None:
        made = Lane("test", 1, 1.0, nice=3)
        assert await made.run("work", priority) == min(19, priority() + 3)
        made.close()

    asyncio.run(load())


def test_work_that_is_given_up_on_still_holds_its_thread() -> None:
    async def load() -> None:
        made = lane(limit_s=0.05)
        with pytest.raises(Refusal, match="not done within"):
            await made.run("work", partial(time.sleep, 0.2))
        assert made.running == 1
        assert await made.run("work", lambda: 1) == 1
        assert (made.running, made.expected_wait()) == (0, 0)
        made.close()

    asyncio.run(load())


def test_an_error_of_the_work_is_passed_on_and_frees_its_thread() -> None:
    async def load() -> None:
        made = lane()
        for error in (TimeoutError("inner"), KeyError("x")):
            with pytest.raises(type(error)):
                await made.run("work", partial(_raise, error))
        await asyncio.sleep(0)
        assert made.running == 0
        made.close()

    asyncio.run(load())


def _raise(error: Exception) -> None:
    raise error


def test_one_slow_answer_does_not_make_all_seem_slow() -> None:
    async def load() -> None:
        made = lane(wait_s=0.25)
        for _ in range(20):
            await made.run("work", lambda: None)
        await made.run("work", partial(time.sleep, 0.5))
        tasks = [await start(made, partial(time.sleep, 0.001)) for _ in range(20)]
        assert await asyncio.gather(*tasks) == [None] * 20
        made.close()

    asyncio.run(load())


@pytest.mark.parametrize("asked", [("POST", "/embed"), ("POST", "/products"), ("POST", "/models/rollback")])
def test_searches_do_not_wait_behind_heavy_work_or_changes(
    keys: Path, key: dict[str, str], monkeypatch: pytest.MonkeyPatch, asked: tuple[str, str]
) -> None:
    engine = Memory()
    for name in ("embed", "put", "roll_back"):
        monkeypatch.setattr(engine, name, lambda *_: time.sleep(0.4))
    app = create_app(engine, Settings(workers=1, keys=keys))

    async def load() -> float:
        slow = scope(*asked, {**key, "content-type": "application/json"})
        busy = asyncio.create_task(call(app, slow, [b'{"input": "a"}' if "embed" in asked[1] else LINE]))
        await asyncio.sleep(0.05)
        got, took = await timed(app)
        assert got.status == 200
        assert not busy.done()
        await busy
        return took

    assert asyncio.run(load()) < 0.3
