"""The interpreter that a launch of a batch script will run in, found as the job will find it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from advisor.inspection.launch.launches import Launch
from advisor.inspection.shell.state import HOLE

_MOST_LETTERS = 64 * 1024


def interpreter_path(launch: Launch, *, environment: Mapping[str, str], folder: Path) -> Path | None:
    """The interpreter's file as the job will find it, None where it is not here."""
    name = launch.interpreter[0]
    if "/" in name:
        return _existing(folder / name)
    if launch.environment_manager is not None:
        return _of_project(launch, folder / (launch.folder or ""))
    if launch.virtual_environment is not None and HOLE not in launch.virtual_environment:
        return _existing(folder / launch.virtual_environment / "bin" / name)
    if launch.conda is not None:
        return next(
            (found for root in _conda_folders(launch, environment) if (found := _existing(root / "bin" / name))),
            None,
        )
    searched = launch.variables.get("PATH", environment.get("PATH", os.defpath)).split(os.pathsep)
    names = [name] if name != "python" else ["python", "python3"]
    return next(
        (found for item in names for entry in searched if entry and (found := _existing(folder / entry / item))), None
    )


def _existing(path: Path) -> Path | None:
    return path.absolute() if path.is_file() and os.access(path, os.X_OK) else None


def _of_project(launch: Launch, folder: Path) -> Path | None:
    """The environment that ``uv run``, ``pixi run`` and the like keep in the project's own folder, None elsewhere."""
    inside = {"uv run": ".venv", "pdm run": ".venv", "poetry run": ".venv", "pipenv run": ".venv", "rye run": ".venv",
              "pixi run": ".pixi/envs/default"}.get(launch.environment_manager or "")  # fmt: skip
    if inside is None:
        return None
    places = [parent / inside / "bin" / "python" for parent in (folder, *folder.parents[:2])]
    return next((found for place in places if (found := _existing(place)) is not None), None)


def _conda_folders(launch: Launch, environment: Mapping[str, str]) -> list[Path]:
    """Where conda keeps the environment that a launch runs in."""
    name = launch.conda or "base"
    if "/" in name:
        return [Path(name)]
    roots = [Path(environment[key]) for key in ("MAMBA_ROOT_PREFIX", "CONDA_ROOT") if key in environment]
    if launch.conda_root is not None:
        roots.append(Path(launch.conda_root))
    if "CONDA_EXE" in environment:
        roots.append(Path(environment["CONDA_EXE"]).parents[1])
    if "CONDA_PREFIX" in environment:
        prefix = Path(environment["CONDA_PREFIX"])
        roots.append(prefix.parents[1] if prefix.parent.name == "envs" else prefix)
    home = Path(environment.get("HOME", "/"))
    kinds = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda", ".local/share/mamba")
    roots += [home / kind for kind in kinds]
    listed = _listed_environments(home)
    if name == "base":
        return [*roots, *listed]
    return [*(root / "envs" / name for root in roots), *(path for path in listed if path.name == name)]


def _listed_environments(home: Path) -> list[Path]:
    """The environments that conda itself has noted for this user, wherever they are."""
    try:
        lines = (home / ".conda" / "environments.txt").read_text(encoding="utf-8")[:_MOST_LETTERS].splitlines()
    except (OSError, ValueError):
        return []
    return [Path(line.strip()) for line in lines if line.startswith("/")]
