"""What each unit is worth to each model, for whoever asks further."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from shopstill.evaluate.judged import Judged, Truth
from shopstill.evaluate.lineup import Lineup, statistics_of
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.results import UNITS
from shopstill.evaluate.statistic import Statistic


def per_unit(truth: Truth, rows: Judged, models: Lineup, statistics: Mapping[str, Mapping[str, Statistic]]) -> pa.Table:
    """The value of each unit, metric and model; of units that have a class, whether a model says the right one."""
    told = {name: {m: s for m, s in made.items() if s.metric.level == "unit"} for name, made in statistics.items()}
    if truth.classes and models.predictions:
        told["accuracy"] = statistics_of(parse_metric("accuracy"), rows, models, 1)
    ids = np.asarray(truth.unit_ids, dtype=object)
    tables = [
        pa.table(
            {
                "unit_id": pa.array(ids, pa.string()),
                "metric": pa.array([metric] * len(ids), pa.string()),
                "model": pa.array([model] * len(ids), pa.string()),
                "value": pa.array(made.spread_over(len(ids)), pa.float64(), from_pandas=True),
            },
            schema=UNITS,
        )
        for metric, said in told.items()
        for model, made in said.items()
    ]
    return pa.concat_tables(tables) if tables else UNITS.empty_table()
