"""The main job, end to end: a real script, a real Slurm, a real job, a real trace, a real corpus, a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_slurm.cluster import Cluster
from tests.real_slurm.whole_loop import walk

pytestmark = [pytest.mark.real_slurm, pytest.mark.tensorflow]


def test_the_loop_closes(cluster: Cluster, site: Path) -> None:
    """Every command of the walkthrough succeeds, and what was predicted stands beside what was measured."""
    steps = walk(cluster, site)
    by_command = {step.command.split(maxsplit=1)[0]: step for step in steps}

    assert [] == [(step.command, step.stderr) for step in steps if step.returncode != 0]
    assert steps[1].stdout.startswith("Submitted batch job ")
    assert "energy" in steps[1].stderr
    assert "COMPLETED" in by_command["gseff"].stdout
    assert "6 measured of 6 planned" in by_command["gseff"].stdout
    assert "replay" in by_command["gseff"].stdout
    assert " 0 files rejected" in steps[5].stdout
