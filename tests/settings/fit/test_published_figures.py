from __future__ import annotations

import pytest

from settings.fit.facts import ModelFacts
from settings.fit.known_models import known_facts
from settings.fit.kv import token_bytes
from settings.fit.weights import Split, gpu_bytes, total_bytes, weight_bytes
from tests.settings.fit.tables import Figure, cache_figures, weight_figures


def _facts(figure: Figure) -> ModelFacts:
    facts = known_facts(figure.model_id)
    assert facts is not None
    return facts


def _computed_weights(figure: Figure) -> float:
    facts = _facts(figure)
    if figure.gpus > 1 or figure.kind.endswith("on the GPU"):
        return figure.gpus * gpu_bytes(facts, Split(tensor=figure.gpus))
    if figure.kind.endswith("with its draft layer"):
        return total_bytes(facts, (*facts.tensors, *facts.tower_tensors, *facts.draft_tensors))
    return weight_bytes(facts)


@pytest.mark.parametrize("figure", cache_figures(), ids=lambda figure: figure.model_id)
def test_cache_of_a_token_is_within_3_percent_of_what_was_published(figure: Figure) -> None:
    computed = token_bytes(_facts(figure))
    assert computed == pytest.approx(figure.number, rel=0.03)
    assert f"{computed:,.0f}" == figure.computed


@pytest.mark.parametrize("figure", weight_figures(), ids=lambda figure: f"{figure.model_id}-{figure.kind}")
def test_weights_are_within_3_percent_of_what_was_published(figure: Figure) -> None:
    computed = _computed_weights(figure) / 1e9
    assert computed == pytest.approx(figure.number, rel=0.03)
    assert f"{computed:,.2f}" == figure.computed


def test_ten_models_of_every_kind() -> None:
    for figures in (cache_figures(), weight_figures()):
        assert len({figure.model_id for figure in figures}) >= 10
        kinds = " ".join(figure.kind for figure in figures)
        assert all(word in kinds for word in ("dense", "MoE", "MLA"))
    assert "windows" in " ".join(figure.kind for figure in cache_figures())
