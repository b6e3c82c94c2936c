from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from advisor.errors import ConfigurationError
from advisor.prediction.prediction import ModelIdentity
from advisor.training.evaluation import judge, pooled
from advisor.training.fit import fit
from advisor.training.nasbench import cell_network
from advisor.training.prior_data import read_prior
from advisor.training.runs import aggregate, usable
from advisor.training.transformers import decoder, encoder
from tests.training.prior import PRIOR_DATA, needs_prior_data


def test_a_cell_of_nothing_but_an_edge_is_counted() -> None:
    """The smallest cell, input to output, is one 1x1 convolution; parameters as NASBench-101 counts them."""
    network = cell_network([[0, 1], [0, 0]], [-1, -2])

    stem = 3 * 128 * 9 + 2 * 128
    stacks = [(128, 128), (128, 256), (256, 512)]
    cells = sum((i * o + 2 * o) + 2 * (o * o + 2 * o) for i, o in stacks)
    assert stem + cells + 512 * 10 + 10 == network.parameters


def test_a_vertex_that_leads_nowhere_costs_nothing() -> None:
    """Vertices not between input and output are pruned before counting."""
    straight = cell_network([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [-1, 0, -2])
    dangling = cell_network([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], [-1, 0, 1, -2])

    assert straight == dangling


def test_a_bert_is_counted_as_its_publisher_and_inspection_count_it() -> None:
    """Parameters are those that the study published; the other figures those of a dry run of the same network."""
    found = encoder(depth=4, width=512, tokens=256)

    assert (32_862_010, 17_262_182_400, 18_562_048, 45) == dataclasses.astuple(found)


def test_a_decoder_has_the_parameters_that_its_publisher_states() -> None:
    """Llama 2 7B has 6.74e9 parameters and Llama 3 8B 8.03e9, with keys that heads share."""
    llama2 = decoder(32, 4096, 4096, 32000, 11008, gated=True)
    llama3 = decoder(32, 4096, 8192, 128256, 14336, 1024, gated=True)

    assert pytest.approx(6.738e9, rel=0.002) == llama2.parameters
    assert pytest.approx(8.03e9, rel=0.002) == llama3.parameters


def test_no_data_is_a_clear_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty folder is named."""
    with pytest.raises(ConfigurationError, match="No prior data"):
        read_prior(tmp_path_factory.mktemp("empty"))


@needs_prior_data
def test_every_study_is_read_whole() -> None:
    """All rows become usable runs, but for networks that we could not count and ryujaehun's second copy."""
    runs = read_prior(PRIOR_DATA)

    counts = Counter(run.setting.study for run in runs)
    assert all(usable(run) for run in runs)
    names = ("delrey2024", "raphischer", "ecnas", "deepgreen", "mayaki", "gaissa", "miso", "llm_foundry")
    assert (857, 56, 2805, 180, 75, 369, 91, 133) == tuple(counts[name] for name in names)
    assert {"delrey2024": 48} == {
        k: v for k, v in Counter(r.setting.study for r in aggregate(runs)).items() if k == "delrey2024"
    }


@needs_prior_data
def test_an_unseen_gpu_is_predicted_better_than_by_its_limit() -> None:
    """With one GPU of the paper withheld, power errs by far less than the TDP does (46%)."""
    runs = aggregate(read_prior(PRIOR_DATA, ("delrey", "raphischer")))
    withheld = "NVIDIA GeForce RTX 3090"
    identity = ModelIdentity(name="test", version="0", trained_on_runs=0, promoted_at="")
    model = fit([run for run in runs if run.setting.gpu.name != withheld], identity)

    scores = pooled([judge(model, [run for run in runs if run.setting.gpu.name == withheld])])

    assert scores["power"]["mape"] < 0.35
    assert np.isfinite(scores["energy"]["mape"])
