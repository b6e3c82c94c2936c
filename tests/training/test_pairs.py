"""How wide the interval of a ratio must be is asked of withheld pairs."""

from __future__ import annotations

import numpy as np
import pytest

from advisor.prediction import process
from advisor.prediction.features import Array
from advisor.prediction.model import PAIR_KINDS, PAIR_MEASURES
from advisor.training.conformal import Spreads
from advisor.training.pairs import BOTH_NEW, FEW, KNOWN, ONE_NEW, Measured, _pairs, _width, _withheld, pair_widths

NETWORKS, MACHINES = 12, 4


def _rows() -> process.Rows:
    """Every network on every machine of two studies, two machines each."""
    rng = np.random.default_rng(1)
    network = np.repeat([f"n{i}" for i in range(NETWORKS)], MACHINES)
    machine = np.tile([f"g{i}" for i in range(MACHINES)], NETWORKS)
    study = np.where(np.isin(machine, ["g0", "g1"]), "one", "two")
    shapes = {"regime": 5, "shape": 7, "board": 4, "bound": 5}
    spaces = {name: np.repeat(rng.normal(size=(NETWORKS, width)), MACHINES, axis=0) for name, width in shapes.items()}
    return process.Rows(
        study=study, site=machine, gpu=machine, network=network, framework=study, ram=np.full(len(study), "8"),
        setting=np.char.add(network, machine), constants=np.zeros((len(study), 3)), **spaces,
    )  # fmt: skip


def _of(rows: process.Rows) -> Measured:
    labels = np.char.add(rows.network, rows.study)
    every = np.arange(len(rows))
    return Measured(rows, labels, every, np.zeros(0, dtype=np.int64), np.zeros(0))


def _widths(residuals: Array) -> Array:
    rows = _rows()
    fitted = process.condition(process.INITIAL, rows, residuals, np.ones(len(rows)), np.zeros(3))
    every, nothing = np.arange(len(rows)), np.full(len(rows), np.nan)
    spreads = Spreads(every, every, nothing, nothing, nothing, np.full(len(rows), 0.5))
    return pair_widths(fitted, fitted, spreads, np.char.add(rows.network, rows.study))


def test_errors_that_machines_share_cost_ratios_nothing() -> None:
    """Networks that all machines run twice as slowly leave ratios as narrow as they were."""
    rng = np.random.default_rng(2)
    shared = np.repeat(rng.normal(size=NETWORKS), MACHINES)
    own = rng.normal(size=NETWORKS * MACHINES)

    calm, wild = _widths(0.01 * own), _widths(0.7 * own)
    together = _widths(0.7 * shared + 0.01 * own)

    assert (len(PAIR_MEASURES), len(PAIR_KINDS)) == calm.shape
    assert (wild[:, KNOWN] > calm[:, KNOWN]).all()
    assert pytest.approx(calm[0, KNOWN], rel=0.3) == together[0, KNOWN]


@pytest.mark.parametrize("kind", range(len(PAIR_KINDS)))
def test_withheld_pairs_are_of_one_workload_on_two_machines(kind: int) -> None:
    """What is compared is the same training in two places, and both are withheld."""
    of = _of(_rows())
    seen = 0
    for out, pairs in _withheld(of, kind, np.random.default_rng(0)):
        i, j = out[pairs[:, 0]], out[pairs[:, 1]]
        seen += len(pairs)

        assert (of.workload[i] == of.workload[j]).all()
        assert (of.rows.site[i] != of.rows.site[j]).all()

    assert seen > 0


def test_what_is_withheld_makes_the_kind() -> None:
    """A network everywhere; all but three settings of a machine; all of one GPU; all of a study."""
    of = _of(_rows())
    withheld = {
        kind: [out for out, _ in _withheld(of, kind, np.random.default_rng(0))]
        for kind in (KNOWN, FEW, ONE_NEW, BOTH_NEW)
    }

    assert all(len(np.unique(of.rows.network[out])) == 1 for out in withheld[KNOWN])
    assert {NETWORKS * 2 - 2, NETWORKS * 2 - 6} == {len(out) for out in withheld[FEW]}
    assert all(any(np.isin(np.flatnonzero(of.rows.gpu == g), out).all() for g in ("g0", "g1", "g2", "g3"))
               for out in withheld[ONE_NEW])  # fmt: skip
    assert {"one", "two"} == {str(study) for out in withheld[BOTH_NEW] for study in np.unique(of.rows.study[out])}


def test_of_a_new_gpu_only_pairs_with_a_known_one_count() -> None:
    """Where one machine is new, the other of a pair is not."""
    of = _of(_rows())
    out = np.arange(8)
    wanted = of.rows.gpu[out] == "g0"

    pairs = _pairs(of, out, wanted)

    assert len(pairs) == 2
    assert (wanted[pairs].sum(1) == 1).all()


def test_few_studies_narrow_less_than_many() -> None:
    """That pairs err less than a normal's width is believed as far as there are studies; that they err more, always."""
    assert 1.645 > _width(1.0, 2) > _width(1.0, 8) > 1.0
    assert 2.5 == _width(2.5, 1)
