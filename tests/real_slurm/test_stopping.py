"""Budgets and early stopping in real jobs: the training ends by itself at an epoch's end, and everybody says why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from advisor.telemetry.reading import gpu_energy_between
from advisor.telemetry.trace import Stop, Trace
from tests.real_slurm.cluster import Cluster
from tests.real_slurm.user import User, make_user

pytestmark = [pytest.mark.real_slurm, pytest.mark.tensorflow]

_HAVE_ENDED_S = 150.0
_EPOCHS = 400
KERAS = f"""\
import time
import keras, numpy as np
x, y = np.zeros((20, 4), "float32"), np.zeros((20, 1), "float32")
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None): time.sleep(0.5)
history = model.fit(x, y, epochs={_EPOCHS}, verbose=0, callbacks=[Slow()])
print("ended after", len(history.epoch))
"""
# A loop of the script's own, which no framework can stop: it looks at a flag between epochs.
LOOP = f"""\
import signal, time
import keras, tensorflow as tf
asked = []
signal.signal(signal.SIGUSR1, lambda *_: asked.append(epoch))
data = tf.data.Dataset.from_tensor_slices((tf.zeros((20, 4)), tf.zeros((20, 1)))).batch(10)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
sgd = keras.optimizers.SGD()
for epoch in range({_EPOCHS}):
    for x, y in data:
        time.sleep(0.25)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        sgd.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    if asked: break
print("ended after", epoch + 1, "asked", len(asked))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A command of a batch script, the user's wish, and by what the training must have been told."""

    command: str
    wish: tuple[str, ...]
    by: str
    words: str


BUDGET = ("--energy-budget", "3kJ")
CASES = {
    "Keras": Case("exec {python} keras_fit.py", BUDGET, "keras", "the budget is 3000 J"),
    "Keras in a step": Case("srun {python} keras_fit.py", BUDGET, "keras", "the budget is 3000 J"),
    "own loop": Case("{python} loop.py", (*BUDGET, "--budget-signal", "USR1"), "signal USR1", "the budget is 3000 J"),
    "gain": Case("{python} keras_fit.py", ("--min-gain", "0.001:loss:3"), "keras", "per kJ over 3 epochs"),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has ended: its id, its trace, and what the training was told."""

    job_id: str
    trace: Trace
    told: Stop


@pytest.fixture(scope="module")
def alice(cluster: Cluster, site: Path) -> User:
    """A user with a folder of her own for this file."""
    user = make_user(cluster, site, "stopping")
    user.write("keras_fit.py", KERAS)
    user.write("loop.py", LOOP)
    return user


@pytest.fixture(scope="module")
def ended(alice: User) -> dict[str, Ended]:
    """All cases, run side by side: each spends most of its time asleep."""
    jobs = {}
    for number, (name, case) in enumerate(CASES.items()):
        command = case.command.format(python=alice.site / "python")
        alice.write(f"{number}.job", f"#!/bin/bash\nexport TF_CPP_MIN_LOG_LEVEL=3\n{command}\n")
        jobs[name] = alice.gsbatch(*case.wish, f"{number}.job")
    for job_id in jobs.values():
        alice.cluster.wait_for_job(job_id, _HAVE_ENDED_S)
    return {name: _ended(alice, job_id) for name, job_id in jobs.items()}


def _ended(alice: User, job_id: str) -> Ended:
    (trace,) = alice.traces(job_id)
    (told,) = [stop for stop in trace.stops if stop.by is not None]
    return Ended(job_id, trace, told)


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_job_is_a_completed_job(alice: User, ended: dict[str, Ended], name: str) -> None:
    """The script ends by itself, with its own status, long before its last epoch; its last epoch is whole."""
    job, case = ended[name], CASES[name]

    assert {("COMPLETED", "0:0")} == {tuple(line.split("|")[1:]) for line in alice.accounting(job.job_id)}
    assert f"ended after {len(job.trace.epochs)}" in alice.output(job.job_id)
    assert len(job.trace.epochs) < _EPOCHS
    assert (case.by, 0) == (job.told.by, job.trace.footer and job.trace.footer.exit_status)
    # A word that comes late, on a busy machine, is heeded one epoch later.
    assert 1 <= len(job.trace.epochs) - job.told.index <= 2


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.wish[:2] == BUDGET])
def test_the_budget_stops_after_the_epoch_that_passes_it(ended: dict[str, Ended], name: str) -> None:
    """Not before, though other things than epochs have used it; and not an epoch later."""
    trace, told = ended[name].trace, ended[name].told
    begun_s = trace.samples[0].time_s
    spent_j = [gpu_energy_between(trace, begun_s, epoch.ended_at) or 0.0 for epoch in trace.epochs]

    assert told.index == next(index for index, energy_j in enumerate(spent_j) if energy_j > 3000)


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_said_in_words(alice: User, ended: dict[str, Ended], name: str) -> None:
    """In the job's own log when it happens, and by gseff afterwards."""
    job, case = ended[name], CASES[name]
    report = alice.run(str(alice.site / "gseff"), job.job_id)

    assert case.words in job.told.reason
    assert f"gsbatch: the training is told to stop ({case.by}): {job.told.reason}" in alice.output(job.job_id)
    assert f"to be stopped after epoch {job.told.index + 1} (told by {case.by}): {job.told.reason}" in report
    assert "asked 1" in alice.output(job.job_id) or case.by == "keras"
