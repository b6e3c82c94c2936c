"""The interpreter that a launch of a batch script will run in, found as the job will find it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from advisor.inspection.launch import Launch
from advisor.inspection.shell import HOLE


def interpreter_path(launch: Launch, *, environment: Mapping[str, str], folder: Path) -> Path | None:
    """The interpreter's file as the job will find it, None where it is not here."""
    name = launch.interpreter[0]
    if "/" in name:
        return _existing(folder / name)
    if launch.virtual_environment is not None and HOLE not in launch.virtual_environment:
        return _existing(folder / launch.virtual_environment / "bin" / name)
    if launch.conda is not None:
        return next(
            (found for root in _conda_folders(launch.conda, environment) if (found := _existing(root / "bin" / name))),
            None,
        )
    searched = launch.variables.get("PATH", environment.get("PATH", os.defpath)).split(os.pathsep)
    names = [name] if name != "python" else ["python", "python3"]
    return next(
        (found for item in names for entry in searched if entry and (found := _existing(folder / entry / item))), None
    )


def _existing(path: Path) -> Path | None:
    return path.absolute() if path.is_file() and os.access(path, os.X_OK) else None


def _conda_folders(name: str, environment: Mapping[str, str]) -> list[Path]:
    """Where conda keeps an environment of this name."""
    if "/" in name:
        return [Path(name)]
    roots = [Path(environment[key]) for key in ("MAMBA_ROOT_PREFIX", "CONDA_ROOT") if key in environment]
    if "CONDA_EXE" in environment:
        roots.append(Path(environment["CONDA_EXE"]).parents[1])
    if "CONDA_PREFIX" in environment:
        prefix = Path(environment["CONDA_PREFIX"])
        roots.append(prefix.parents[1] if prefix.parent.name == "envs" else prefix)
    home = Path(environment.get("HOME", "/"))
    kinds = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda", ".local/share/mamba")
    roots += [home / kind for kind in kinds]
    return [root if name == "base" else root / "envs" / name for root in roots]
