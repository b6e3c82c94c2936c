"""Rendered scripts are compared with files that a person has read, and run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from advisor.errors import RenderingError
from advisor.rendering.picks import Pick
from advisor.rendering.recorder_command import RecorderCommand, recorder_command
from advisor.rendering.recorder_options import RecorderOptions
from advisor.rendering.render import plain_python_script, render
from advisor.request.script import Script, script_from_text, wrapped_script
from advisor.settings import data_path
from tests.golden import golden

RECORDER = recorder_command(
    RecorderOptions(spool="/shared/spool of gsbatch", ticket="ticket-1", energy_budget_j=2e6),
    python="/opt/gsbatch/bin/python",
)
PICKS = (Pick("partition", "ampere"), Pick("gres", "gpu:a100:1"), Pick("mem", "16G"), Pick("cpus-per-task", "8"))
TEMPLATES = data_path("sbatch_templates")

TRAIN = """\
#!/usr/bin/env python3
#SBATCH --output="logs of %x/%j.out"  # the user's own words stay as they are
#SBATCH --time=1:00:00
#GSBATCH --set epochs=5
import sys
"""
JOB = """\
#!/bin/bash -l
#SBATCH --job-name=mine

# a comment of the user's
#SBATCH --time=1:00:00
set -euo pipefail
#SBATCH --partition=ignored-by-sbatch
module load python
srun python train.py "$@"
"""


def _train(*arguments: str) -> Script:
    return script_from_text(TRAIN, name="train.py", path=Path("/home/me/my project/train.py"), arguments=arguments)


def _job() -> Script:
    return script_from_text(JOB, name="job.sh", path=Path("/home/me/job.sh"), arguments=("--epochs", "5"))


def test_a_python_script_runs_under_the_recorder_by_its_own_path() -> None:
    """Directives first, then picks; every word is quoted for the shell; without a recorder the training still runs."""
    script = _train("--title", "it's $HOME; `id`", "", "*")

    text = render(script, PICKS, template_dir=TEMPLATES, recorder=RECORDER, python=("/usr/bin/python3", "-u"))

    assert golden("python.sbatch") == text


def test_a_python_script_without_record_and_picks_is_only_started() -> None:
    """--no-record leaves nothing of ours but the start."""
    text = render(_train(), (), template_dir=TEMPLATES, recorder=None, python=("/usr/bin/python3",))

    assert golden("python_unrecorded.sbatch") == text


def test_a_batch_script_keeps_every_line_and_restarts_itself_under_the_recorder() -> None:
    """The user's header and body are there, in order, untouched; ours stands between."""
    text = render(_job(), PICKS, template_dir=TEMPLATES, recorder=RECORDER)

    assert golden("shell.sbatch") == text


def test_a_wrapped_command_is_a_script_like_any_other() -> None:
    """--wrap becomes what sbatch makes of it, plus picks and record."""
    text = render(wrapped_script("python train.py --x '1 2'"), PICKS[:1], template_dir=TEMPLATES, recorder=RECORDER)

    assert golden("wrap.sbatch") == text


def test_a_script_of_another_interpreter_takes_picks_only() -> None:
    """A csh cannot read our block, but reads #SBATCH as a comment."""
    script = script_from_text("#!/bin/csh\nsetenv X 1\n", name="job.csh", path=Path("/j.csh"), arguments=())

    text = render(script, PICKS[:1], template_dir=TEMPLATES, recorder=RECORDER)

    assert "#!/bin/csh\n#SBATCH --partition=ampere\nsetenv X 1\n" == text


def test_a_missing_value_in_a_template_is_an_error(tmp_path: Path) -> None:
    """A site's template that asks for what nobody gives must not submit a broken job."""
    (tmp_path / "python.sbatch.j2").write_text("#!/bin/bash\nexec {{ comand }}\n", encoding="utf-8")

    with pytest.raises(RenderingError, match="'comand' is undefined"):
        render(_train(), (), template_dir=tmp_path, recorder=None, python=("python",))


def test_a_missing_template_is_an_error(tmp_path: Path) -> None:
    """The folder that was looked in is named."""
    with pytest.raises(RenderingError, match=str(tmp_path)):
        render(_train(), (), template_dir=tmp_path, recorder=None, python=("python",))


def test_a_nul_byte_is_refused() -> None:
    """Slurm refuses such scripts; we do before it."""
    with pytest.raises(RenderingError, match="NUL"):
        render(_train("a\0b"), (), template_dir=TEMPLATES, recorder=None, python=("python",))


@pytest.mark.parametrize("value", ["a b", "a\n#SBATCH --uid=0", "$(id)", "", 'x"y'])
def test_a_pick_that_could_break_out_of_its_line_is_refused(value: str) -> None:
    """Partition and GRES names come from outside; a directive has no quoting that we would bet on."""
    with pytest.raises(RenderingError):
        Pick("partition", value)


def test_the_emergency_script_needs_no_template() -> None:
    """When a template fails, the user's directives and the training are what is left."""
    text = plain_python_script(_train("a b"), ("/usr/bin/python3",))

    expected = "exec /usr/bin/python3 '/home/me/my project/train.py' 'a b'\n"
    assert ["#!/bin/bash", *TRAIN.splitlines()[1:3]] == text.splitlines()[:3]
    assert text.endswith(expected)


def _run(path: Path, text: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
    environment = {**os.environ, **variables}
    return subprocess.run([str(path), *arguments], capture_output=True, text=True, check=False, env=environment)


def _fake_recorder(folder: Path, *, works: bool) -> RecorderCommand:
    """A recorder that says that it ran, then becomes what it was to record."""
    program = folder / "recorder"
    program.write_text('#!/bin/sh\necho recorded\nshift\nexec "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    return RecorderCommand(arguments=(str(program), "--"), check=("true",) if works else ("/no/such/python", "-c", ""))


@pytest.mark.parametrize("shell", ["/bin/bash -eu", "/bin/sh"])
@pytest.mark.parametrize("works", [True, False])
def test_a_shell_script_runs_once_with_its_arguments_and_status(tmp_path: Path, shell: str, works: bool) -> None:
    """Under the recorder or, where that cannot run, without: same output, same status, environment as it was."""
    script = script_from_text(
        f'#!{shell}\n#SBATCH -n1\necho "ran $# [$2] ${{GSBATCH_RECORDED-unset}}"\nexit 7\n',
        name="job.sh",
        path=tmp_path / "job.sh",
        arguments=(),
    )
    text = render(script, (), template_dir=TEMPLATES, recorder=_fake_recorder(tmp_path, works=works))

    done = _run(tmp_path / "job.sh", text, "one", "two words")

    assert 7 == done.returncode
    assert [*(["recorded"] if works else []), "ran 2 [two words] unset"] == done.stdout.splitlines()
    assert "" == done.stderr


@pytest.mark.parametrize("works", [True, False])
def test_a_python_script_runs_once_with_its_arguments_and_status(tmp_path: Path, works: bool) -> None:
    """Quoting survives a real shell."""
    train = tmp_path / "my train.py"
    train.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n", encoding="utf-8")
    arguments = ("it's", "$HOME", "", "a\nb")
    script = script_from_text(train.read_text(encoding="utf-8"), name=train.name, path=train, arguments=arguments)
    recorder = _fake_recorder(tmp_path, works=works)
    text = render(script, (), template_dir=TEMPLATES, recorder=recorder, python=("/usr/bin/env", "python3"))

    done = _run(tmp_path / "job", text)

    assert 3 == done.returncode
    assert [*(["recorded"] if works else []), str(list(arguments))] == done.stdout.splitlines()
