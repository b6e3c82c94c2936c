"""Tab completion of the four commands, asked of the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
needs = {
    shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")
    for shell in ("bash", "zsh", "fish")
}


def _text(shell: str) -> str:
    return subprocess.run([BIN / "gsadmin", "completion", shell], capture_output=True, text=True, check=True).stdout


def _bash(folder: Path, *arguments: str, before: str = "") -> list[str]:
    """What bash offers for the last argument; ``before`` is run first."""
    (folder / "gsbatch.bash").write_text(_text("bash"), encoding="utf-8")
    typed = " ".join(f"'{argument}'" for argument in ("gsbatch", *arguments))
    program = (
        f"{before}\n. ./gsbatch.bash\nCOMP_WORDS=({typed}); COMP_CWORD={len(arguments)}; _gsbatch\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "--norc", "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert "" == done.stderr
    return done.stdout.split()


SLURMS = "_sbatch() { COMPREPLY=($(compgen -W '--partition= --mem=' -- \"${COMP_WORDS[COMP_CWORD]}\")); }"


@needs["bash"]
@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        (("--adv",), ["--advise"]),
        (("--objective", ""), ["energy", "time", "edp", "carbon", "cost"]),
        (("--objective", "=", "ca"), ["carbon"]),
        (("--probe", "="), ["fresh", "job"]),
        (("--probe", "tr"), ["train.py"]),
        (("--set", "ep"), ["epochs="]),
        (("--inventory", "clu"), ["cluster.toml"]),
        (("--energy-budget", ""), []),
        (("tr",), ["train.py"]),
        (("-p", "a", "--loc"), ["--local"]),
    ],
)
def test_bash_completes_options_values_and_files(
    tmp_path: Path, arguments: tuple[str, ...], offered: list[str]
) -> None:
    """Options of gsbatch, with or without Slurm's completion."""
    for name in ("train.py", "cluster.toml"):
        (tmp_path / name).touch()

    assert offered == _bash(tmp_path, *arguments)
    assert offered == _bash(tmp_path, *arguments, before=SLURMS)


@needs["bash"]
def test_bash_offers_sbatchs_options_beside_its_own(tmp_path: Path) -> None:
    """What Slurm's completion says where there is one, else the options that this program knows."""
    assert ["--partition=", "--print-script", "--probe"] == _bash(tmp_path, "--p", before=SLURMS)
    assert {"--partition", "--parsable", "--print-script"} <= set(_bash(tmp_path, "--p"))


@needs["bash"]
def test_bash_completes_the_other_commands(tmp_path: Path) -> None:
    """Click answers for them."""
    (tmp_path / "all.bash").write_text(_text("bash"), encoding="utf-8")
    program = (
        ". ./all.bash\nCOMP_WORDS=(gsadmin mo); COMP_CWORD=1; _gsadmin_completion gsadmin\n"
        'echo "${COMPREPLY[@]}"\ncomplete -p gsinfo gseff gsadmin gsbatch'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PATH": f"{BIN}:/usr/bin:/bin"},
    )  # fmt: skip

    assert "models" == done.stdout.splitlines()[0]
    assert 4 == len(done.stdout.splitlines()[1:])


@needs["zsh"]
def test_zsh_takes_the_definitions(tmp_path: Path) -> None:
    """They load without an error, and every command has one."""
    (tmp_path / "all.zsh").write_text(_text("zsh"), encoding="utf-8")
    program = "autoload -Uz compinit; compinit -u -d ./dump; . ./all.zsh; print -l ${_comps[(I)gs*]}"
    done = subprocess.run(["zsh", "-f", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "" == done.stderr
    assert {"gsbatch", "gsinfo", "gseff", "gsadmin"} <= set(done.stdout.split())


@needs["fish"]
@pytest.mark.parametrize(
    ("line", "offered"),
    [("gsbatch --adv", "--advise"), ("gsbatch --objective ca", "carbon"), ("gsbatch --probe=f", "--probe=fresh")],
)
def test_fish_completes_options_and_values(tmp_path: Path, line: str, offered: str) -> None:
    """Asked with fish's own ``complete --do-complete``."""
    (tmp_path / "all.fish").write_text(_text("fish"), encoding="utf-8")
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source all.fish; complete --do-complete '{line}'"],
        cwd=tmp_path, capture_output=True, text=True, check=True, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    assert offered in [found.split("\t")[0] for found in done.stdout.splitlines()]
