"""The built wheel, not the checkout, is what a site installs."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.fake_sbatch import FakeSbatch, install_fake_sbatch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("gsbatch-*.whl"))


def test_wheel_carries_templates_and_models_and_no_tests(wheel: Path) -> None:
    """What lies outside the package is the first thing that a wheel forgets; tests are what it should forget."""
    names = zipfile.ZipFile(wheel).namelist()
    folders = (ROOT / "sbatch_templates", ROOT / "models")
    shipped = [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    assert shipped
    assert set() == {f"advisor/_data/{path.relative_to(ROOT)}" for path in shipped} - set(names)
    assert [] == [name for name in names if name.startswith("tests/")]


def test_wheel_carries_types_and_manual_pages(wheel: Path) -> None:
    """Type checkers look for py.typed, and man for the pages of a program on PATH in share/man."""
    names = zipfile.ZipFile(wheel).namelist()
    pages = {name.rpartition("/share/")[2] for name in names if name.endswith(".1")}

    assert "advisor/py.typed" in names
    assert {str(page.relative_to(ROOT)) for page in (ROOT / "man").rglob("*.1")} == pages


@dataclass(frozen=True, slots=True)
class Installed:
    """gsbatch as ``pip install`` leaves it on a login node, without extras, called from a folder of its own."""

    bin: Path
    folder: Path
    sbatch: FakeSbatch

    def __call__(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command with nothing of the checkout in its environment."""
        return subprocess.run(
            [str(self.bin / command), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{self.sbatch.folder}:/usr/bin:/bin", "HOME": str(self.folder), "GSBATCH_PROBE": "off"},
        )


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A fresh environment with the wheel and its declared dependencies alone."""
    environment, folder = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("home")
    venv.create(environment, with_pip=True)
    subprocess.run(
        [
            str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--constraint", str(ROOT / "requirements.lock"), str(wheel),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "train.py").write_text("print('training')\n", encoding="utf-8")
    (folder / "cluster.toml").write_text(
        'name = "one"\n[[partitions]]\nname = "ampere"\n[[partitions.nodes]]\ncount = 1\ncpus = 8\n'
        'memory = "64G"\ngres = "gpu:a100:1"\n',
        encoding="utf-8",
    )
    sbatch = install_fake_sbatch(folder / "bin")
    sbatch.answers("Submitted batch job 42\n")
    gsbatch = Installed(environment / "bin", folder, sbatch)
    assert "corpus: made" in gsbatch("gsadmin", "init").stdout
    return gsbatch


FACTS = (
    "--inventory", "cluster.toml", "--set", "batch_size=32", "--set", "epochs=2", "--set", "train_samples=10000",
    "--set", "forward_flops_per_sample=4e9", "--set", "parameters=25000000",
)  # fmt: skip


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("gsbatch", ("--help",), "Usage: gsbatch"),
        ("gsbatch", ("--version",), "gsbatch "),
        ("gsbatch", (*FACTS, "--print-script", "train.py"), "#SBATCH --partition=ampere"),
        ("gsbatch", (*FACTS, "--test-only", "train.py"), "Submitted batch job 42"),  # the stand-in's answer to all
        ("gsinfo", ("--inventory", "cluster.toml"), "A100"),
        ("gseff", ("--help",), "Usage: gseff"),
        ("gsadmin", ("init",), "is there, with 0 runs"),
        ("gsadmin", ("ingest",), "0 traces read"),
        ("gsadmin", ("calibrate",), "no finished run"),
        ("gsadmin", ("models", "list"), "prior"),
        ("gsadmin", ("corpus", "stats"), "0 runs"),
        ("gsadmin", ("completion", "bash"), "complete -F _gsbatch gsbatch"),
    ],
)
def test_a_login_node_needs_no_extra(
    installed: Installed, command: str, arguments: tuple[str, ...], expected: str
) -> None:
    """Submission, advice, reports and ingest run with the base install, and find their templates and prior."""
    done = installed(command, *arguments)

    assert (0, "") == (done.returncode, "".join(line for line in done.stderr.splitlines() if "Traceback" in line))
    assert expected in done.stdout


def test_advice_needs_no_extra(installed: Installed) -> None:
    """The recommendation goes to stderr, with the partition in it."""
    done = installed("gsbatch", *FACTS, "--advise", "train.py")

    assert (0, "") == (done.returncode, done.stdout)
    assert "ampere" in done.stderr


def test_an_unknown_job_and_the_checks_need_no_extra(installed: Installed) -> None:
    """They end with a status that says what is wrong on this machine, and with no traceback."""
    job, doctor = installed("gseff", "local-1-1"), installed("gsadmin", "doctor")

    assert (9, True) == (job.returncode, job.stderr.startswith("gseff: Nothing is known"))
    assert (True, "") == ("psutil" in doctor.stdout, doctor.stderr)


@pytest.mark.parametrize("arguments", [("retrain",), ("calibrate", "--apply")])
def test_fitting_names_its_extra(installed: Installed, arguments: tuple[str, ...]) -> None:
    """One line with the command that installs what is missing, and an error status."""
    done = installed("gsadmin", *arguments)

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "-m pip install 'gsbatch[train]'" in done.stderr
