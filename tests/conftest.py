"""What every test starts from, however pytest was started: from a terminal, a background shell, cron or a Slurm job."""

from __future__ import annotations

import os
import signal

import pytest

_PREFIXES = ("GSBATCH_", "SBATCH_", "SLURM_", "SLURMD_")
# Read by tests/capabilities.py.
_OF_THE_TESTS = frozenset({"GSBATCH_FRAMEWORKS_PYTHON", "GSBATCH_LEGACY_KERAS_PYTHON"})


def pytest_configure() -> None:
    """Undo what programs under test would inherit.

    A background shell ignores SIGINT and SIGQUIT for its children, a site may have set variables of Slurm and gsbatch,
    and a user a umask of their own.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.umask(0o022)
    for name in [name for name in os.environ if name.startswith(_PREFIXES)]:
        if name not in _OF_THE_TESTS:
            del os.environ[name]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests one worker of pytest-xdist runs: those of a file, and all that share the one test cluster."""
    for item in items:
        group = "slurm" if item.get_closest_marker("real_slurm") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
