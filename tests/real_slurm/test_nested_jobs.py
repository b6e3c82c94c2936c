"""Jobs that a recorded job submits with plain sbatch: nothing of ours acts in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_slurm.cluster import Cluster
from tests.real_slurm.user import User, make_user

pytestmark = pytest.mark.real_slurm

# As much of Keras as the hook looks for: epochs of 0.3 s that a callback can end.
KERAS = """\
import time
class callbacks:
    class Callback: pass
class Model:
    stop_training = False
    def fit(self, epochs, callbacks=None):
        for callback in callbacks or []:
            callback.model, callback.params = self, {"epochs": epochs}
            callback.on_train_begin()
        for epoch in range(epochs):
            for callback in callbacks or []: callback.on_epoch_begin(epoch)
            time.sleep(0.3)
            for callback in callbacks or []: callback.on_epoch_end(epoch)
            if self.stop_training: break
        return epoch + 1
"""
TRAIN = """\
import os, sys
import keras
print("epochs", keras.Model().fit(int(sys.argv[1])))
print("ours", [name for name in os.environ if name.startswith("GSBATCH_") and name != "GSBATCH_GPU_READINGS"])
print("path", os.environ.get("PYTHONPATH"))
"""
OUTER_EPOCHS, INNER_EPOCHS = 15, 12


@pytest.fixture(scope="module")
def alice(cluster: Cluster, site: Path) -> User:
    """A user with a folder of her own for this file."""
    user = make_user(cluster, site, "nested")
    user.write("keras.py", KERAS)
    user.write("train.py", TRAIN)
    return user


@pytest.mark.parametrize("where", ["-w c3090n1", "-w c3090n2"])
@pytest.mark.parametrize("wish", [(), ("--energy-budget", "1J")])
def test_a_job_submitted_from_inside_is_not_the_recorders(alice: User, where: str, wish: tuple[str, ...]) -> None:
    """On the same node and on another: no epoch of it is marked, no budget stops it, its Pythons inherit nothing."""
    name = f"{where[-1]}{len(wish)}"
    inner = f"#!/bin/bash\npython3 train.py {INNER_EPOCHS}\nsrun python3 train.py {INNER_EPOCHS}\n"
    alice.write(f"inner{name}.job", inner)
    submit = f"sbatch --parsable -p rtx {where} -n1 --mem=500 -o inner{name}.out inner{name}.job"
    alice.write(
        f"outer{name}.job", f"#!/bin/bash\npython3 train.py {OUTER_EPOCHS}\n{submit} > inner{name}.id\nsleep 3\n"
    )
    two_nodes = ("-p", "rtx", "-N2", "-n2", "-w", "c3090n[1-2]", "--gres=gpu:nvidia_geforce_rtx_3090:1", "--mem=500")

    outer_id = alice.gsbatch(*wish, f"outer{name}.job", where=two_nodes)
    assert "COMPLETED" == alice.cluster.wait_for_job(outer_id)
    inner_id = (alice.folder / f"inner{name}.id").read_text(encoding="utf-8").strip()
    assert "COMPLETED" == alice.cluster.wait_for_job(inner_id)
    (outer,) = alice.traces(outer_id)
    epochs = [epoch for epoch in outer.epochs if not epoch.validation]
    outer_output = alice.output(outer_id).splitlines()

    assert 2 * [f"epochs {INNER_EPOCHS}", "ours []", "path None"] == (
        (alice.folder / f"inner{name}.out").read_text(encoding="utf-8").splitlines()
    )
    assert [] == alice.traces(inner_id)
    assert f"epochs {len(epochs)}" in outer_output
    assert (len(epochs) < OUTER_EPOCHS) == bool(wish)
