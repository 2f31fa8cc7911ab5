from __future__ import annotations

import pytest

from shopstill.losses import LOSSES
from shopstill.testing.losses import CLAIMS, check_loss


@pytest.mark.parametrize("name", LOSSES.names())
def test_every_loss_passes_the_conformance_suite(name: str) -> None:
    check_loss(LOSSES.get(name), LOSSES.module(name).SPEC)


def test_every_loss_of_the_design_is_there_and_states_what_it_claims() -> None:
    hard, soft = ["bce", "cross_entropy", "mse"], ["adaptive_soft", "decoupled", "score_mse", "soft", "soft_bce"]
    ranking = ["lambda_rank", "listwise_kl", "listwise_softmax", "margin_mse", "pairwise_logistic"]
    ranking += ["ranking_distillation", "relaxed_ranking"]
    relations = ["attention_relation", "rkd_angle", "rkd_distance", "similarity_preserving"]
    expected = sorted([*hard, *soft, *ranking, *relations, "attention_transfer", "cosine", "hint", "info_nce"])
    assert LOSSES.names() == expected
    assert sorted(CLAIMS) == expected
