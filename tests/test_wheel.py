"""The built wheel, not the checkout, is what a site installs."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

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


def test_wheel_advises_from_an_empty_environment_and_another_folder(wheel: Path, tmp_path: Path) -> None:
    """Installed with nothing but its declared dependencies, gsbatch finds its templates and its prior from anywhere."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    subprocess.run(
        [
            str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--constraint", str(ROOT / "requirements.lock"), str(wheel),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "train.py").write_text("print('training')\n", encoding="utf-8")
    (elsewhere / "cluster.toml").write_text(
        'name = "one"\n[[partitions]]\nname = "ampere"\n[[partitions.nodes]]\ncount = 1\ncpus = 8\n'
        'memory = "64G"\ngres = "gpu:a100:1"\n',
        encoding="utf-8",
    )

    done = subprocess.run(
        [
            str(environment / "bin" / "gsbatch"), "--no-probe", "--inventory", "cluster.toml", "--print-script",
            "--set", "batch_size=32", "--set", "epochs=2", "--set", "train_samples=10000",
            "--set", "forward_flops_per_sample=4e9", "--set", "parameters=25000000", "train.py",
        ],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    assert "#SBATCH --partition=ampere" in done.stdout
    assert "Traceback" not in done.stderr
