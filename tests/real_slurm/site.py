"""Install the built wheel where the cluster's users can run it, as an admin would.

The environment that runs the tests may lie where only root can look (a home, a private checkout), so the site gets a
virtual environment of its own: the system's Python, the same locked packages as hard links, and the real wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
SYSTEM_PYTHON = Path("/usr/bin/python3")


def install_site(folder: Path) -> Path:
    """Make ``folder/venv`` with gsbatch's wheel and every package of this environment; return its ``bin``.

    Raises:
        RuntimeError: the system's Python is of another minor version, so compiled packages would not load.
    """
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    system_minor = subprocess.run(
        [str(SYSTEM_PYTHON), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    if system_minor != minor:
        raise RuntimeError(
            f"{SYSTEM_PYTHON} is {system_minor}, the tests run under {minor}; set PYTHON={SYSTEM_PYTHON}"
        )
    environment = folder / "venv"
    subprocess.run([str(SYSTEM_PYTHON), "-m", "venv", "--without-pip", str(environment)], check=True)
    _link_packages(Path(sysconfig.get_path("purelib")), environment / "lib" / f"python{minor}" / "site-packages")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "wheel"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    wheel = next((folder / "wheel").glob("gsbatch-*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    return environment / "bin"


def _link_packages(source: Path, destination: Path) -> None:
    """Every installed package but our own editable one, as hard links where the file system allows.

    Compiled modules come along: a user cannot write there, and would compile TensorFlow anew in every job.
    """

    def link_or_copy(origin: str, target: str) -> str:
        try:
            os.link(origin, target)
        except OSError:
            shutil.copy2(origin, target)
        return target

    ours = shutil.ignore_patterns("gsbatch*", "_gsbatch*", "_editable_impl_gsbatch*")
    shutil.copytree(source, destination, copy_function=link_or_copy, ignore=ours, dirs_exist_ok=True)
