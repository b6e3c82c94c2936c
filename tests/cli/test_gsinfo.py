"""gsinfo shows the GPU partitions as the advisor sees them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data" / "slurm" / "25.11.7"
EXAMPLE = ROOT / "docs" / "examples" / "datacentre.toml"
# A scontrol that gives the recorded answers and counts how often it is asked; sacctmgr knows one account.
SCONTROL = f"""#!/bin/sh
echo "$@" >> "$ASKED"
for last; do :; done
exec cat "{DATA}/scontrol_show_$last.txt"
"""
SACCTMGR = """#!/bin/sh
echo "mini25|small||small|normal||||"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home of its own and a PATH whose Slurm is the recorded one."""
    for name, text in (("scontrol", SCONTROL), ("sacctmgr", SACCTMGR)):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GSBATCH_", "SLURM_", "XDG_"))}
    return {
        **kept,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ASKED": str(tmp_path / "asked"),
        "GSBATCH_BACKEND": "commands",
        "GSBATCH_SITE_CONFIG": str(tmp_path / "no-site-file.toml"),
        "PYTHONPATH": str(ROOT),
    }


def _gsinfo(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "advisor.cli.gsinfo", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_person_sees_one_line_for_each_gpu_of_each_partition(environment: dict[str, str]) -> None:
    """Counts are of usable GPUs; a doubtful model is marked; nothing barred, nothing without a GPU."""
    done = _gsinfo(environment)

    assert (0, "") == (done.returncode, done.stderr)
    first, _titles, *rows = done.stdout.splitlines()
    assert "Cluster mini25, Slurm 25.11.7, read by commands, account small" == first.rstrip()
    assert [
        ["gtx", "GeForce", "GTX", "750", "Ti", "gtx_750_ti", "1", "1", "1"],
        ["rtx", "GeForce", "RTX", "3090", "nvidia_geforce_rtx_3090", "4", "0", "1"],
        ["rtx", "GeForce", "RTX", "3070", "rtx_3070", "1", "0", "1"],
        ["ampere", "A100-SXM4-80GB", "nvidia_a100-sxm4-80gb", "4", "2", "1"],
        ["ampere", "A100-SXM4-80GB", "MIG", "1g.10gb", "nvidia_a100-sxm4-80gb_1g.10gb", "7", "7", "1"],
    ] == [_cells(row) for row in rows]


def _cells(row: str) -> list[str]:
    """The cells up to the count of nodes."""
    words = row.split()
    return words[: next(i for i, word in enumerate(words) if word == "GiB") - 1]


def test_all_shows_what_is_barred_and_why(environment: dict[str, str]) -> None:
    """The reason stands in the row; the hidden, the down and the forbidden are there."""
    done = _gsinfo(environment, "--all")
    notes = {row.split()[0]: row for row in done.stdout.splitlines()}

    assert "account small may not use it" in notes["hopper"]
    assert "partition is down" in notes["down"]
    assert "the site hides it; name it to use it" in notes["hidden"]


def test_json_is_one_object_in_si_units(environment: dict[str, str]) -> None:
    """Programs read the same facts."""
    shown = json.loads(_gsinfo(environment, "--json").stdout)

    assert ("mini25", "commands", "small") == (shown["cluster"], shown["backend"], shown["account"])
    (gtx, *_) = shown["partitions"]
    assert ("gtx", 86400.0) == (gtx["name"], gtx["max_time_s"])
    (gpu,) = gtx["gpus"]
    assert ("gtx_750_ti", 1, 60.0, 2 * 1024**3) == (
        gpu["gres_type"],
        gpu["idle"],
        gpu["model"]["tdp_w"],
        gpu["model"]["memory_bytes"],
    )


def test_slurm_is_not_asked_again_until_fresh(environment: dict[str, str]) -> None:
    """Three queries the first time, none the second, three with --fresh."""
    asked = Path(environment["ASKED"])
    counts = []
    for arguments in ((), (), ("--fresh",)):
        _gsinfo(environment, *arguments)
        counts.append(len(asked.read_text(encoding="utf-8").splitlines()))

    assert [3, 3, 6] == counts


def test_a_described_cluster_needs_no_slurm(environment: dict[str, str]) -> None:
    """--inventory asks nobody."""
    done = _gsinfo({**environment, "PATH": "/nowhere"}, "--inventory", str(EXAMPLE))

    assert (0, "") == (done.returncode, done.stderr)
    assert "H100 80GB HBM3" in done.stdout
    assert "blackwell" not in done.stdout


def test_a_mistake_in_a_described_cluster_is_one_message(environment: dict[str, str], tmp_path: Path) -> None:
    """File, line and field on stderr, nothing on stdout, the exit status of a configuration error."""
    path = tmp_path / "mine.toml"
    path.write_text('[[partitions]]\nname = "p"\nmax_tim = "1:00"\n', encoding="utf-8")
    done = _gsinfo(environment, "--inventory", str(path))

    assert (2, "") == (done.returncode, done.stdout)
    assert (
        f"gsinfo: {path}, line 3, max_tim: no such field of a partition; did you mean 'max_time'?"
        == done.stderr.splitlines()[0]
    )


def test_no_slurm_is_one_message_with_a_next_step(environment: dict[str, str], tmp_path: Path) -> None:
    """Exit status 3, as errors.py says, and no traceback."""
    done = _gsinfo({**environment, "PATH": str(tmp_path)})

    assert (3, "") == (done.returncode, done.stdout)
    assert ["gsinfo: Slurm's command 'scontrol' is not on PATH.", "gsinfo: "] == [
        done.stderr.splitlines()[0],
        done.stderr.splitlines()[1][:8],
    ]
