"""What the start of Python in a recorded job changes for the user's script: nothing that it could see."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from advisor.submission.environment import INJECTED_FOLDER, RECORDING

PYTHON = sys.executable
# A recorder's variables for the job of the environment below.
RECORDED = {"GSBATCH_JOB": "mini/7/0", "GSBATCH_MARKS": "/nowhere/marks", "GSBATCH_PLACE": "n1/batch"}
JOB = {"SLURM_CLUSTER_NAME": "mini", "SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"}


def run(
    code: str, folder: Path, *, recorded: bool = True, python: str = PYTHON, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``script.py`` in the folder, in a recorded job or in a plain one."""
    (folder / "script.py").write_text(code, encoding="utf-8")
    environment = {"PATH": os.defpath, "HOME": str(folder), **JOB}
    if recorded:
        environment |= {**RECORDED, "PYTHONPATH": INJECTED_FOLDER}
    return subprocess.run(
        [python, "script.py"],
        cwd=folder,
        env={**environment, **(variables or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def interpreters() -> list[str]:
    """This interpreter, and others of the versions that the hook supports, where this machine has them."""
    found = [PYTHON]
    for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")):
        version = tuple(int(part) for part in path.parts[-3].split(".")[:2])
        found += [str(path)] if version >= (3, 8) else []
    return found


@pytest.mark.parametrize("python", interpreters())
def test_nothing_is_imported_and_no_path_is_left(tmp_path: Path, python: str) -> None:
    """The modules and the path that a script finds are plain Python's; only sys.meta_path has one entry more."""
    code = "import sys\nprint(sorted(sys.modules), sys.path, sys.flags, len(sys.meta_path))"
    plain = run(code, tmp_path, recorded=False, python=python).stdout
    more = re.sub(r"(\d+)$", lambda match: str(int(match[1]) + 1), plain.strip()) + "\n"

    assert more == run(code, tmp_path, python=python).stdout


def test_every_file_of_the_users_folder_shadows_what_it_does_in_plain_python(tmp_path: Path) -> None:
    """A folder may hold a random.py, a types.py, a signal.py: 36 of 181 such names resolved differently."""
    names = sorted(name for name in sys.stdlib_module_names if name not in sys.builtin_module_names)
    for name in names:
        (tmp_path / f"{name}.py").write_text("", encoding="utf-8")
    # A path hook or codec that Python itself loads later would be shadowed in both.
    code = (
        f"import sys\nfound = {{}}\nfor name in {names!r}:\n    try:\n"
        "        found[name] = getattr(__import__(name), '__file__', None)\n"
        "    except Exception as exc:\n        found[name] = str(exc)\nprint(found)"
    )
    plain = run(code, tmp_path, recorded=False)

    assert 150 < plain.stdout.count(str(tmp_path))
    assert (plain.stdout, plain.stderr) == (run(code, tmp_path).stdout, run(code, tmp_path).stderr)


def test_importing_a_framework_imports_no_file_that_shadows_the_standard_library(tmp_path: Path) -> None:
    """What marks epochs is loaded with the first framework, in a folder whose names are the user's own."""
    for name in ("array", "json", "random", "select", "shutil", "signal", "socket", "struct"):
        (tmp_path / f"{name}.py").write_text(f"print({name!r})\n", encoding="utf-8")
    (tmp_path / "keras.py").write_text("class Model:\n    def fit(self): pass\n", encoding="utf-8")
    code = "import keras\nprint(sorted(name for name in vars(keras.Model) if name == 'fit'))"
    plain = run(code, tmp_path, recorded=False).stdout

    assert plain == run(code, tmp_path).stdout


@pytest.mark.parametrize("body", ["1 / 0", "import nothing_like_this", "raise ImportError('no', name='torch')"])
def test_a_framework_that_fails_to_import_has_the_traceback_of_plain_python(tmp_path: Path, body: str) -> None:
    """No frame of ours, and the same status."""
    (tmp_path / "torch.py").write_text(f"{body}\n", encoding="utf-8")
    plain, recorded = run("import torch", tmp_path, recorded=False), run("import torch", tmp_path)

    assert (plain.returncode, plain.stderr) == (recorded.returncode, recorded.stderr)


def test_a_framework_that_is_missing_is_missing_as_ever(tmp_path: Path) -> None:
    """Message and status."""
    plain, recorded = (
        run("import pytorch_lightning", tmp_path, recorded=False),
        run("import pytorch_lightning", tmp_path),
    )

    assert (plain.returncode, plain.stderr) == (recorded.returncode, recorded.stderr)


@pytest.mark.parametrize("text", ["import builtins\nbuiltins.site_was_here = 1\n", "1 / 0\n", None])
def test_the_sites_own_sitecustomize_runs_as_ever(tmp_path: Path, text: str | None) -> None:
    """There or not, sound or not: what Python makes of it is the same."""
    site = tmp_path / "site"
    site.mkdir()
    if text is not None:
        (site / "sitecustomize.py").write_text(text, encoding="utf-8")
    code = "import builtins, sys\nprint(hasattr(builtins, 'site_was_here'), sys.modules.get('sitecustomize'))"
    plain = run(code, tmp_path, recorded=False, variables={"PYTHONPATH": str(site)})
    recorded = run(code, tmp_path, variables={"PYTHONPATH": f"{INJECTED_FOLDER}:{site}"})

    assert (plain.stdout, plain.stderr) == (recorded.stdout, recorded.stderr)


@pytest.mark.parametrize(
    "other",
    [
        {"SLURM_JOB_ID": "8"},
        {"SLURM_CLUSTER_NAME": "big"},
        {"SLURM_RESTART_COUNT": "1"},
        {"GSBATCH_JOB": "/none/0"},
        {"GSBATCH_JOB": "nonsense"},
        {"GSBATCH_JOB": ""},
    ],
)
def test_in_another_job_nothing_of_the_recorders_acts_or_is_left(tmp_path: Path, other: dict[str, str]) -> None:
    """A job that was submitted from inside inherits the variables: its Pythons take them away and do nothing else."""
    code = (
        "import os, sys\nprint([name for name in os.environ if name.startswith('GSBATCH_')], "
        "os.environ.get('PYTHONPATH'), len(sys.meta_path))"
    )
    plain = run(code, tmp_path, recorded=False, variables={"PYTHONPATH": "/own"}).stdout

    own = {"PYTHONPATH": f"{INJECTED_FOLDER}:/own", "GSBATCH_SAMPLER": "x", **other}
    assert plain == run(code, tmp_path, variables=own).stdout
    assert "[] None" == " ".join(run(code, tmp_path, variables=other).stdout.split()[:2])


def test_a_script_may_unset_slurms_variables(tmp_path: Path) -> None:
    """Some launchers want it so; the job is the same one."""
    code = "import os\nprint('GSBATCH_MARKS' in os.environ)"
    unset = dict.fromkeys(JOB, "")
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    environment = {"PATH": os.defpath, **RECORDED, "GSBATCH_PLACE": "/batch", "PYTHONPATH": INJECTED_FOLDER}
    done = subprocess.run(
        [PYTHON, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert "True\n" == done.stdout
    assert set(unset) == set(JOB)


def test_the_hook_knows_every_variable_of_the_recorder() -> None:
    """Two lists that cannot be one: the hook imports nothing of the recorder's."""
    text = Path(INJECTED_FOLDER, "gsbatch_inside", "start.py").read_text(encoding="utf-8")
    listed = re.search(r"VARIABLES = \((.*?)\)", text)

    assert listed is not None
    assert set(re.findall(r"GSBATCH_\w+", listed[1])) == RECORDING
