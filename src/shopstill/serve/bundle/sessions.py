"""The graphs of a bundle, each loaded when it is first run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.core.errors import ArtifactError
from shopstill.serve.bundle.manifest import GraphInfo

_LEFT_OUT = ["SkipLayerNormFusion", "MatMulAddFusion", "WeightBiasQuantization"]
"""Sum and norm in one operator are six times as slow as the two of them (onnxruntime 1.31, AVX2). Product and sum are
joined before int8 is looked for, and hide it: such a layer is then computed in float32 after all. And what stands in
float32 between two convolutions in int8, because rounding it would cost too much, would be rounded all the same."""


def runtime() -> Any:
    """onnxruntime, which is told before it is loaded to tell nobody outside that it runs."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


class Sessions:
    """One onnxruntime session a graph.

    Args:
        folder: the bundle's.
        graphs: its graphs by name.
    """

    def __init__(self, folder: Path, graphs: Mapping[str, GraphInfo]) -> None:
        self._folder, self._graphs = folder, graphs
        self._loaded: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._graphs

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs of a graph, in order; several threads may call at once.

        Raises:
            ArtifactError: this onnxruntime cannot load the graph.
        """
        session = self._loaded.get(name) or self._loaded.setdefault(name, self._load(name, optimise=True))
        return list(session.run(None, inputs))

    def constants(self, name: str) -> dict[str, np.ndarray]:
        """The outputs of a graph without inputs, by name; it is run once and not kept."""
        return dict(zip(self._graphs[name].outputs, self._load(name, optimise=False).run(None, {}), strict=True))

    def _load(self, name: str, *, optimise: bool) -> Any:
        ort = runtime()
        options = ort.SessionOptions()
        # One thread a session: several then answer as many requests at once, and no busy neighbour stalls a barrier.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
        path = self._folder / self._graphs[name].file
        try:
            return ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_LEFT_OUT
            )
        except Exception as cause:  # noqa: BLE001 - onnxruntime raises nothing finer
            raise ArtifactError(
                f"{path}: onnxruntime {ort.__version__} cannot load it ({cause}); update onnxruntime"
            ) from None
