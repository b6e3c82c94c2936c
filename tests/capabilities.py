"""What this machine can do, asked of the machine; a test that needs more is skipped with the reason from here."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

SLURM_PROGRAMS = (
    "munged",
    "mariadbd",
    "mariadb-install-db",
    "slurmctld",
    "slurmdbd",
    "slurmd",
    "sbatch",
    "sacctmgr",
    "useradd",
)
REPOSITORY = Path(__file__).resolve().parents[1]
_DAEMON_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def why_no_real_slurm() -> str | None:
    """One line that says why the test cluster cannot run here, or None when it can."""
    missing = [name for name in SLURM_PROGRAMS if shutil.which(name, path=_DAEMON_PATH) is None]
    if missing:
        return f"no Slurm test cluster: {missing[0]} is not installed (tests/real_slurm/install_slurm.sh installs it)"
    if os.geteuid() != 0:
        return "no Slurm test cluster: starting Slurm's daemons needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.mknod(Path(folder) / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except OSError as error:
            return f"no Slurm test cluster: device files for GPUs cannot be made here ({error.strerror})"
    return None


def frameworks_python(*modules: str) -> str | None:
    """The interpreter that has PyTorch, JAX and the trainers built on them, if it is there and has all of ``modules``.

    ``tests/frameworks.sh`` makes it; GSBATCH_FRAMEWORKS_PYTHON names another.
    """
    named = os.environ.get("GSBATCH_FRAMEWORKS_PYTHON")
    python = Path(named) if named else REPOSITORY / ".venv-frameworks" / "bin" / "python"
    return str(python) if python.is_file() and _can_import(python, modules) else None


@functools.cache
def _can_import(python: Path, modules: tuple[str, ...]) -> bool:
    code = "import importlib.util as u, sys; sys.exit(not all(u.find_spec(name) for name in sys.argv[1:]))"
    return subprocess.run([python, "-c", code, *modules], check=False, capture_output=True).returncode == 0


def legacy_keras_python() -> str | None:
    """An interpreter with ``tf_keras`` (Keras 2): this one, or the one that GSBATCH_LEGACY_KERAS_PYTHON names."""
    pythons = filter(None, (os.environ.get("GSBATCH_LEGACY_KERAS_PYTHON"), sys.executable))
    return next((python for python in pythons if _can_import(Path(python), ("tensorflow", "tf_keras"))), None)
