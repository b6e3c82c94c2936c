"""A training that could not be dry-run where it was submitted is inspected in its job, and gseff predicts anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.real_slurm.cluster import Cluster
from tests.real_slurm.user import make_user

pytestmark = [pytest.mark.real_slurm, pytest.mark.tensorflow]

# Goes on until its trace says that it was inspected; modules and variables are as the job alone knows them.
TRAIN = """\
import os, pathlib, time
import keras
import numpy as np

class UntilInspected(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.2)
        spool = pathlib.Path.home() / ".local/share/gsbatch/spool"
        found = spool.glob("*-" + os.environ["SLURM_JOB_ID"] + "-*.trace.jsonl")
        self.model.stop_training = any('"workload"' in file.read_text() for file in found)

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(int(os.environ["WIDTH"])), keras.layers.Dense(3)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(np.zeros((96, 8)), np.zeros(96), batch_size=32, epochs=500, verbose=0, callbacks=[UntilInspected()])
"""


def test_gseff_knows_what_only_the_job_could_tell(cluster: Cluster, site: Path) -> None:
    """The script of this batch script is started with a word that only its shell knows: the job's process has it."""
    alice = make_user(cluster, site, "inspected")
    alice.write("train.py", TRAIN)
    alice.write("job.sh", f"#!/bin/bash\nexport WIDTH=$(expr 3 + 4)\n{site / 'python'} train.py\n")
    words = ("-p", "ampere", "--gres=gpu:1", "-n1", "--mem=8G", "--probe=job", "--set", "epochs=70", "job.sh")

    job_id = alice.run(str(site / "gsbatch"), "--parsable", *words).strip()
    cluster.wait_for_job(job_id, 300.0)
    (record,) = json.loads(alice.run(str(site / "gseff"), "--json", job_id))

    assert ("COMPLETED", True) == (record["state"], record["found_in_job"])
    (trace,) = alice.traces(job_id)
    assert trace.workload is not None
    assert 8 * 7 + 7 + 7 * 3 + 3 == trace.workload.parameters.value
    assert record["comparisons"]["duration_s"]["predicted"]["value"] > 0
    assert 70 == record["epochs"]["planned"]
