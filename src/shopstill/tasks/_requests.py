"""What a request of each model of histories costs: from the items of a history to the best of the whole catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from shopstill.core.hardware import cores
from shopstill.data.histories import Histories, Part
from shopstill.evaluate.alone import alone
from shopstill.evaluate.costs import Costs
from shopstill.evaluate.latency import Timing
from shopstill.models import families
from shopstill.models.sequence import SequenceNetwork
from shopstill.models.sequence.feed import ragged
from shopstill.serve.bundle.load import load_history
from shopstill.serve.bundle.scan import Wanted
from shopstill.tasks._turns import Answer, InTurn, interleaved, on_threads, operations

_TOP, _LENGTH, _REQUESTS = 10, 50, 64
_ANSWER_ONCE, _SERVE_ONCE = f"{__name__}:answer_once", "shopstill.serve.bundle.load:recommend_once"


_NOTE = f"histories of {_LENGTH} items, cut as the model reads them; all items scored, the best {_TOP} found"
_SERVED = "as served: from a bundle, with onnxruntime; items scanned in int8, the best rescored"


@torch.inference_mode()
def best(network: SequenceNetwork, histories: Sequence[np.ndarray]) -> torch.Tensor:
    """Numbers [B, 10] of the items that come next most likely."""
    most = network.config.max_items - (1 if network.masks else 0)
    read = [history[-most:] for history in histories]
    length = np.array([len(history) for history in read])
    item_BT = ragged(np.concatenate(read), np.cumsum(length) - length, length)
    hidden_BD = network.last(torch.from_numpy(item_BT), torch.from_numpy(length))
    return network.scores(hidden_BD).topk(min(_TOP, network.sizes.items)).indices + 1


def costs(histories: Histories, part: Part, folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
    """Measure models, or ensembles of several, on histories of test questions.

    Args:
        histories: of all shoppers.
        part: the test questions.
        folders: contender → folders of its models; one without any is left out.
        timing: how times are taken; its candidates are histories at once.
    """
    asked = requests(histories, part)
    there = {name: list(those) for name, those in folders.items() if those}
    loaded = {name: [families.load(folder).network.eval() for folder in those] for name, those in there.items()}
    contenders = {
        name: InTurn(open=on_threads(_answer(those, asked)), questions=len(asked), note=_NOTE)
        for name, those in loaded.items()
    }
    calls = {name: (_ANSWER_ONCE, [[str(f) for f in those], asked[0].tolist()]) for name, those in there.items()}
    return Costs(
        latency=interleaved(contenders, timing),
        alone={name: alone(*call) for name, call in calls.items() if timing.memory},
        flops={name: sum(flops(network, asked[0]) for network in those) for name, those in loaded.items()},
    )


def served_costs(
    histories: Histories, part: Part, bundles: Mapping[str, Path], models: Mapping[str, Path], timing: Timing
) -> Costs:
    """The same of bundles; ``models`` are the folders that operations are counted from."""
    asked = requests(histories, part)
    contenders = {
        name: InTurn(open=_serving(folder, asked), questions=len(asked), note=_SERVED)
        for name, folder in bundles.items()
    }
    return Costs(
        latency=interleaved(contenders, timing),
        alone={n: alone(_SERVE_ONCE, [str(f), asked[0].tolist()]) for n, f in bundles.items() if timing.memory},
        flops={name: flops(families.load(folder).network.eval(), asked[0]) for name, folder in models.items()},
    )


def _answer(networks: Sequence[SequenceNetwork], histories: Sequence[np.ndarray]) -> Answer:
    def answer(which: np.ndarray) -> object:
        asked = [histories[at] for at in which.tolist()]
        return [best(network, asked) for network in networks]

    return answer


def _serving(folder: Path, histories: Sequence[np.ndarray]) -> Callable[[int], Answer]:
    def opened(threads: int) -> Answer:
        bundle, wanted = load_history(folder, threads), Wanted(limit=_TOP, seen=True)
        return lambda which: bundle.best([histories[at] for at in which.tolist()], wanted)

    return opened


def served(histories: Histories, part: Part, bundle: Path, *, seen: bool, shown: int) -> np.ndarray:
    """Where a bundle ranks true items [N, 2 + shown]."""
    pairs = zip(part.shopper_N.tolist(), part.upto_N.tolist(), strict=True)
    asked = [histories.history(shopper)[:upto] for shopper, upto in pairs]
    shown = min(shown, histories.items)
    return load_history(bundle, threads=cores()).places(asked, part.target_N, seen=seen, shown=shown)


def requests(histories: Histories, part: Part) -> list[np.ndarray]:
    """Histories of 50 items: those of test questions that are as long; shorter ones are told again and again."""
    order = np.argsort(-part.upto_N, kind="stable")[:_REQUESTS]
    found = [histories.history(part.shopper_N[row])[: part.upto_N[row]] for row in order]
    return [np.tile(items, -(-_LENGTH // len(items)))[-_LENGTH:] for items in found]


def answer_once(folders: Sequence[str], history: Sequence[int]) -> None:
    """Load models and answer one history, as a process would that does nothing else."""
    for folder in folders:
        best(families.load(Path(folder)).network.eval(), [np.array(history)])


def flops(network: SequenceNetwork, history: np.ndarray) -> int:
    """Floating point operations of one request."""
    return operations(lambda: best(network, [history]))
