"""What sbatch says is handed on byte for byte, and the job id is found in every form of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.errors import SlurmNotFound
from advisor.submission.submit import BatchScript, Outputs, parse_job_id, run_sbatch, submit
from tests.fakes.fake_sbatch import FakeSbatch, install_fake_sbatch


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSbatch:
    """An sbatch on PATH."""
    fake = install_fake_sbatch(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.environment()["PATH"])
    return fake


class Heard:
    """What came out."""

    def __init__(self) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self.outputs = Outputs(self.stdout.extend, self.stderr.extend)

    def all(self) -> tuple[bytes, bytes]:
        """Both streams."""
        return bytes(self.stdout), bytes(self.stderr)


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        ("Submitted batch job 7\n", ("7", None)),
        ("Submitted batch job 7 on cluster big\n", ("7", "big")),
        ("7\n", ("7", None)),
        ("7;big\n", ("7", "big")),
        ("", (None, None)),
        ("sbatch: Job 7 to start at noon\n", (None, None)),
    ],
)
def test_job_ids_are_found_in_every_form(stdout: str, expected: tuple[str | None, str | None]) -> None:
    """Plain, with a cluster, --parsable, --quiet."""
    assert expected == parse_job_id(stdout)


def test_a_script_is_submitted_as_a_file_of_its_own_name(sbatch: FakeSbatch) -> None:
    """The job is named after the file, and the arguments follow it; nothing is left behind."""
    sbatch.answers()
    heard = Heard()
    script = BatchScript(options=("-n", "1"), text="#!/bin/sh\ntrue\n", name="train.py", arguments=("a b", "--x"))

    answer = submit(script, environment=sbatch.environment(), outputs=heard.outputs)

    call = sbatch.calls()[0]
    assert call.script is not None
    assert ["-n", "1", call.script, "a b", "--x"] == call.words
    assert "train.py" == Path(call.script).name
    assert script.text == call.text
    assert not Path(call.script).parent.exists()
    assert ("42", 0) == (answer.job_id, answer.returncode)
    assert b"Submitted batch job 42\n" == heard.stdout


def test_a_path_of_any_bytes_is_submitted(sbatch: FakeSbatch) -> None:
    """File names need not be UTF-8; in Python they then hold surrogates, which no encoder takes unasked."""
    sbatch.answers()
    script = BatchScript(options=(), text="#!/bin/sh\npython 'caf\udce9.py'\n", name="caf\udce9.py")

    answer = submit(script, environment=sbatch.environment(), outputs=Heard().outputs)

    assert "42" == answer.job_id


def test_without_a_name_the_text_goes_to_standard_input(sbatch: FakeSbatch) -> None:
    """Nothing is written anywhere."""
    sbatch.answers()

    submit(
        BatchScript(options=("-Q",), text="#!/bin/sh\n", name=None),
        environment=sbatch.environment(),
        outputs=Heard().outputs,
    )

    assert (["-Q"], None, "#!/bin/sh\n") == (sbatch.calls()[0].words, sbatch.calls()[0].script, sbatch.calls()[0].text)


@pytest.mark.parametrize("hold", [True, False])
def test_output_and_status_are_sbatchs_own(sbatch: FakeSbatch, hold: bool) -> None:
    """Warnings before a job id reach stderr whether or not a refusal would have been held back."""
    sbatch.answers("7;big\n", "sbatch: warning: soon full\n", 0)
    heard = Heard()

    answer = run_sbatch(
        ["x"], environment=sbatch.environment(), outputs=heard.outputs, stdin_text="", hold_refusal=hold
    )

    assert (b"7;big\n", b"sbatch: warning: soon full\n") == heard.all()
    assert ("7", "big", 0) == (answer.job_id, answer.cluster, answer.returncode)


def test_a_refusal_can_be_held_back(sbatch: FakeSbatch) -> None:
    """Whoever asked for it decides what to do with it."""
    sbatch.answers("", "sbatch: error: no\n", 1)
    heard = Heard()

    answer = run_sbatch([], environment=sbatch.environment(), outputs=heard.outputs, stdin_text="", hold_refusal=True)

    assert (1, None, b"sbatch: error: no\n") == (answer.returncode, answer.job_id, answer.held_stderr)
    assert (b"", b"") == heard.all()


def test_the_environment_is_the_jobs_and_gets_nothing_of_ours(sbatch: FakeSbatch) -> None:
    """--export=ALL would carry it into the job."""
    sbatch.answers()
    environment = sbatch.environment(MY="1")

    run_sbatch([], environment=environment, outputs=Heard().outputs, stdin_text="")

    seen = sbatch.calls()[0].environment
    assert environment == {name: seen[name] for name in environment}
    assert set(seen) - set(environment) <= {"LC_CTYPE"}  # Python's own, at its start


def test_no_sbatch_is_an_error(tmp_path: Path) -> None:
    """The PATH that counts is the user's."""
    with pytest.raises(SlurmNotFound):
        run_sbatch([], environment={"PATH": str(tmp_path)}, outputs=Heard().outputs, stdin_text="")
