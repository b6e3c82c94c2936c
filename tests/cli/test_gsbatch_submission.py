"""gsbatch in place of sbatch: what sbatch is called with, what the user sees, and that no job is ever lost."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import advisor
from advisor.corpus import store
from advisor.submission.ticket import TrainingFile, find_ticket
from tests.cli.gsbatch_calls import FACTS, Gsbatch, facts_without, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch with an sbatch that accepts everything, and an scontrol that knows the cluster's name."""
    sbatch = install_fake_sbatch(tmp_path / "bin")
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.write_text("#!/bin/sh\necho 'ClusterName = demo'\necho 'SLURM_VERSION = 22.05.8'\n", encoding="utf-8")
    scontrol.chmod(0o755)
    sbatch.answers()
    return make_gsbatch(tmp_path)


def _header(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#SBATCH")]


def test_a_training_is_submitted_where_it_costs_least(gsbatch: Gsbatch) -> None:
    """Stdout is sbatch's alone, advice is on stderr, picks are in the header, arguments reach the script."""
    done = gsbatch("-J", "mine", *FACTS, "train.py", "--epochs", "2")

    call = gsbatch.sbatch.calls()[0]
    assert ("Submitted batch job 42\n", 0) == (done.stdout, done.returncode)
    assert "ranked by energy" in done.stderr
    assert ["-J", "mine", call.script] == call.words
    assert "train.py" == Path(call.script or "").name
    assert "#SBATCH --partition=ampere" in _header(call.text)
    assert "#SBATCH --gres=gpu:a100:1" in _header(call.text)
    assert f"{gsbatch.folder}/train.py --epochs 2\n" in call.text


def test_the_prediction_is_kept_in_a_ticket(gsbatch: Gsbatch) -> None:
    """What was promised can later be held against what was measured; the script carries the same ticket id."""
    gsbatch(*FACTS, "train.py", "--epochs", "2")

    ticket = find_ticket(gsbatch.spool, "demo", "42")
    assert ticket is not None
    assert ticket.prediction is not None
    assert ("ampere", True) == (ticket.prediction.placement.partition, ticket.followed)
    assert {"MLCO2", "offline, power (Kernel Ridge)"} <= {said.method for said in ticket.prediction.methods}
    assert ("--epochs", "2") == ticket.arguments
    assert f"--ticket {ticket.ticket_id} " in gsbatch.sbatch.calls()[0].text


@pytest.mark.parametrize(
    ("words", "variables", "directive"),
    [
        (("-p", "gtx"), {}, ""),
        ((), {"SBATCH_PARTITION": "gtx"}, ""),
        ((), {}, "#SBATCH --partition=gtx\n"),
    ],
)
def test_a_partition_named_anywhere_stands(
    gsbatch: Gsbatch, words: tuple[str, ...], variables: dict[str, str], directive: str
) -> None:
    """Command line, SBATCH_* and #SBATCH: no pick replaces it, and the GPU is picked within it."""
    (gsbatch.folder / "train.py").write_text(f"{directive}print(1)\n", encoding="utf-8")

    gsbatch(*words, *FACTS, "train.py", **variables)

    call = gsbatch.sbatch.calls()[0]
    added = [line for line in _header(call.text) if line + "\n" != directive]
    assert "#SBATCH --gres=gpu:gtx1080ti:1" in added
    assert not [line for line in added if "partition" in line]
    assert list(words) == [word for word in call.words if word != call.script]


def test_with_everything_named_nothing_is_added(gsbatch: Gsbatch) -> None:
    """The job is what the user wrote; it is measured and remembered all the same."""
    done = gsbatch("-p", "ampere", "-G", "a100:1", "--mem-per-cpu=2G", "-c4", *FACTS, "train.py")

    ticket = find_ticket(gsbatch.spool, "demo", "42")
    assert [] == _header(gsbatch.sbatch.calls()[0].text)
    assert "picked: nothing" in done.stderr
    assert ticket is not None
    assert not ticket.followed
    assert ticket.prediction is not None


def test_a_batch_script_keeps_its_words_and_gets_its_arguments(gsbatch: Gsbatch) -> None:
    """Sbatch gets the user's own file by the name that was typed; picks are options before the user's."""
    gsbatch("-J", "mine", *FACTS, "job.sh", "one", "two words")

    call = gsbatch.sbatch.calls()[0]
    assert ["-J", "mine", "job.sh", "one", "two words"] == call.words[-5:]
    assert ["--partition=ampere", "--gres=gpu:a100:1"] == call.words[:2]
    assert "start_recorder.sh" in call.environment["BASH_ENV"]
    assert "advisor.telemetry.recorder" in call.environment["GSBATCH_RECORDER"]


@pytest.mark.parametrize(
    ("words", "variables", "first_line"),
    [
        (("--export=NONE",), {}, "#!/bin/bash"),
        (("--export=PATH,HOME",), {}, "#!/bin/bash"),
        ((), {"SBATCH_EXPORT": "NONE"}, "#!/bin/bash"),
        ((), {}, "#!/bin/bash\n#SBATCH --export=NIL"),
        ((), {"POSIXLY_CORRECT": "1"}, "#!/bin/bash"),
        ((), {"BASH_ENV": "$HOME/init"}, "#!/bin/bash"),
        ((), {}, "#!/bin/bash -p"),
        ((), {}, "#!/bin/sh"),
    ],
)
def test_where_the_environment_cannot_start_the_recorder_the_script_does(
    gsbatch: Gsbatch, words: tuple[str, ...], variables: dict[str, str], first_line: str
) -> None:
    """Nothing is exported against the user's will; no line of the script changes its number."""
    text = f"{first_line}\n# a comment\n\necho $LINENO\necho 2\n"
    (gsbatch.folder / "job.sh").write_text(text, encoding="utf-8")

    gsbatch(*words, *FACTS, "job.sh", **variables)

    call = gsbatch.sbatch.calls()[0]
    assert variables.get("BASH_ENV") == call.environment.get("BASH_ENV")
    assert "GSBATCH_RECORDER" not in call.environment
    assert "advisor.telemetry.recorder" in call.text
    assert len(text.splitlines()) == len(call.text.splitlines())
    assert text.splitlines()[:3] == call.text.splitlines()[:3]
    assert call.text.endswith("; unset GSBATCH_RECORDED; echo $LINENO\necho 2\n")


def test_a_script_that_looks_for_itself_keeps_its_path_where_bash_does_not_start_the_recorder(gsbatch: Gsbatch) -> None:
    """It is not recorded, which is said, and runs as with sbatch; the picks are options."""
    for body in ("scontrol show job $SLURM_JOB_ID |\\\ngrep Command=", "squeue -h -j $SLURM_JOB_ID -o %o"):
        (gsbatch.folder / "job.sh").write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")

        done = gsbatch(*FACTS, "job.sh")

        call = gsbatch.sbatch.calls()[-1]
        assert "job.sh" == call.script
        assert "--partition=ampere" in call.words
        assert "not recorded: job.sh may look for its own path" in done.stderr


def test_a_script_that_asks_for_host_names_is_recorded(gsbatch: Gsbatch) -> None:
    """Many launchers need them; that shows no path."""
    text = "#!/bin/sh\nMASTER=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -1)\nsqueue -j $SLURM_JOB_ID -o %i\n"
    (gsbatch.folder / "job.sh").write_text(text, encoding="utf-8")

    gsbatch(*FACTS, "job.sh")

    assert "advisor.telemetry.recorder" in gsbatch.sbatch.calls()[0].text


def test_export_with_all_carries_the_recorder(gsbatch: Gsbatch) -> None:
    """The user's --export stays as it was typed, the only one."""
    gsbatch("--export=ALL,X=1", *FACTS, "job.sh")

    call = gsbatch.sbatch.calls()[0]
    assert ["--export=ALL,X=1"] == [word for word in call.words if "export" in word]
    assert "BASH_ENV" in call.environment


def test_the_users_own_bash_env_comes_back(gsbatch: Gsbatch) -> None:
    """Sites set it to Lmod's start."""
    gsbatch(*FACTS, "job.sh", BASH_ENV="/site/lmod")

    assert "/site/lmod" == gsbatch.sbatch.calls()[0].environment["GSBATCH_BASH_ENV"]


def test_standard_input_stays_standard_input(gsbatch: Gsbatch) -> None:
    """Such a job is named sbatch, whoever reads the script first."""
    gsbatch(*FACTS, stdin="#!/bin/sh\npython train.py\n")

    call = gsbatch.sbatch.calls()[0]
    assert call.script is None
    assert "--partition=ampere" == call.words[0]
    assert call.text.startswith("#!/bin/sh\nif [")
    assert call.text.endswith("python train.py\n")


@pytest.mark.parametrize("words", [("--wrap", "python train.py"), ("--wrap=python train.py",)])
def test_a_wrapped_command_is_submitted_as_the_script_it_stands_for(gsbatch: Gsbatch, words: tuple[str, ...]) -> None:
    """The job is named wrap, and has no command in Slurm, as with sbatch."""
    gsbatch("-n1", *words, *FACTS)

    call = gsbatch.sbatch.calls()[0]
    assert ["-n1", "--wrap"] == call.words[-3:-1]
    assert "--partition=ampere" in call.words
    assert "advisor.telemetry.recorder" in call.words[-1]
    assert call.words[-1].endswith("; python train.py")


def test_a_ticket_names_the_python_file_that_a_batch_script_starts(gsbatch: Gsbatch) -> None:
    """A batch script may stay as it is while its training changes: the next job is told by both."""
    (gsbatch.folder / "job.sh").write_text("#!/bin/bash\npython train.py --lr 1\n", encoding="utf-8")
    content = (gsbatch.folder / "train.py").read_bytes()

    gsbatch(*FACTS, "job.sh")

    ticket = find_ticket(gsbatch.spool, "demo", "42")
    assert ticket is not None
    assert ticket.script_path.endswith("/job.sh")
    assert ticket.training == TrainingFile(
        path=str(gsbatch.folder / "train.py"), sha256=hashlib.sha256(content).hexdigest(), arguments=("--lr", "1")
    )


def test_names_that_are_no_utf_8_are_advised_and_remembered(gsbatch: Gsbatch) -> None:
    """Bytes are all that a file system asks of a name."""
    (gsbatch.folder / "caf\udce9.py").write_text("print(1)\n", encoding="utf-8")
    gsbatch.spool.parent.mkdir(parents=True)
    with store.writing(gsbatch.spool.parent / "corpus.db"):
        pass

    done = gsbatch(*FACTS, "caf\udce9.py", "a\udce9")

    ticket = find_ticket(gsbatch.spool, "demo", "42")
    assert "no advice" not in done.stderr
    assert ticket is not None
    assert ticket.script_path.endswith("/caf\\udce9.py")
    assert ("a\\udce9",) == ticket.arguments


@pytest.mark.parametrize("content", [b"import sys\r\nprint(1)\r\n", b"# coding: latin-1\nprint('\xe9')\n"])
def test_what_python_runs_is_submitted_whatever_its_line_ends_and_encoding(gsbatch: Gsbatch, content: bytes) -> None:
    """CRLF and latin-1 are no concern of sbatch's: it gets a batch script that starts the file."""
    (gsbatch.folder / "train.py").write_bytes(content)

    done = gsbatch(*FACTS, "train.py")

    assert ("Submitted batch job 42\n", 0) == (done.stdout, done.returncode)
    assert "ranked by energy" in done.stderr
    assert f"{gsbatch.folder}/train.py\n" in gsbatch.sbatch.calls()[0].text
    assert find_ticket(gsbatch.spool, "demo", "42") is not None


def test_parsable_output_and_its_cluster_are_handed_on(gsbatch: Gsbatch, tmp_path: Path) -> None:
    """JID=$(gsbatch --parsable ...) works, and the ticket is under the cluster that sbatch named."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("42;other\n")

    done = gsbatch("--parsable", *FACTS, "train.py")

    assert "42;other\n" == done.stdout
    assert find_ticket(gsbatch.spool, "other", "42") is not None


@pytest.mark.parametrize(("typed", "passed_on"), [(("-Q",), []), (("-QHn2",), ["-Hn2"])])
def test_quiet_is_quiet_and_the_prediction_is_kept(
    gsbatch: Gsbatch, typed: tuple[str, ...], passed_on: list[str]
) -> None:
    """-Q silences sbatch, so it silences us; sbatch is called without it, for a ticket needs the job's id."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers(stderr="sbatch: information\nsbatch: error: not so bad\n")

    done = gsbatch(*typed, *FACTS, "train.py")

    assert ("", "sbatch: error: not so bad\n", 0) == (done.stdout, done.stderr, done.returncode)
    assert passed_on == gsbatch.sbatch.calls()[0].words[:-1]
    assert find_ticket(gsbatch.spool, "demo", "42") is not None


@pytest.mark.parametrize("typed", [("-QQ",), ("-Q", "-v")])
def test_quiet_in_other_forms_is_left_to_sbatch(gsbatch: Gsbatch, typed: tuple[str, ...]) -> None:
    """Twice, it silences errors too; beside -v, sbatch refuses it."""
    gsbatch(*typed, *FACTS, "train.py")

    assert list(typed) == gsbatch.sbatch.calls()[0].words[:-1]


def test_test_only_writes_nothing(gsbatch: Gsbatch) -> None:
    """The picks are tested, no file appears anywhere, no ticket is kept."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("", "sbatch: Job 7 to start at noon\n")
    before = {path for path in gsbatch.folder.parent.rglob("*") if "bin" not in path.parts}

    done = gsbatch("--test-only", *FACTS, "train.py")

    call = gsbatch.sbatch.calls()[0]
    after = {path for path in gsbatch.folder.parent.rglob("*") if "bin" not in path.parts}
    assert (["--test-only"], None) == (call.words, call.script)
    assert "#SBATCH --partition=ampere" in call.text
    assert "sbatch: Job 7 to start at noon\n" in done.stderr
    assert before == after


def test_after_a_refusal_the_next_placement_is_tried(gsbatch: Gsbatch) -> None:
    """A partition may go down within the cache's life; the ticket is of the placement that sbatch took."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("", "sbatch: error: Required partition not available (inactive or drain)\n", 1)
    gsbatch.sbatch.answers("Submitted batch job 43\n")

    done = gsbatch(*FACTS, "train.py")

    first, second = gsbatch.sbatch.calls()
    ticket = find_ticket(gsbatch.spool, "demo", "43")
    assert "#SBATCH --partition=ampere" in _header(first.text)
    assert "#SBATCH --partition=gtx" in _header(second.text)
    assert ("Submitted batch job 43\n", 0) == (done.stdout, done.returncode)
    assert "sbatch refused the job as advised" in done.stderr
    assert "WARNING" not in done.stderr
    assert ticket is not None
    assert ticket.prediction is not None
    assert ("gtx", True) == (ticket.prediction.placement.partition, ticket.followed)


def test_a_job_that_gets_no_gpu_is_told_so(gsbatch: Gsbatch) -> None:
    """Limits that we cannot see must not cost the job; but it never silently runs where it cannot train."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    for _ in range(2):
        gsbatch.sbatch.answers("", "sbatch: error: Invalid account/partition combination\n", 1)
    gsbatch.sbatch.answers("Submitted batch job 43\n")

    done = gsbatch(*FACTS, "train.py")

    *_refused, last = gsbatch.sbatch.calls()
    ticket = find_ticket(gsbatch.spool, "demo", "43")
    assert not _header(last.text)
    assert ("Submitted batch job 43\n", 0) == (done.stdout, done.returncode)
    assert "gsbatch: WARNING: job 43 has NO GPU." in done.stderr
    assert ticket is not None
    assert (None, False) == (ticket.prediction, ticket.followed)


def test_a_refusal_of_the_users_own_words_is_sbatchs_to_tell(gsbatch: Gsbatch) -> None:
    """Status and words are sbatch's."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("", "sbatch: error: no\n", 7)

    done = gsbatch(*FACTS, "train.py")

    assert ("", 7) == (done.stdout, done.returncode)
    assert 1 == done.stderr.count("sbatch: error: no\n")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"GSBATCH_INVENTORY": "/no/such/file"}, "cannot be read"),
        ({"GSBATCH_OBJECTIVE": "beauty"}, "GSBATCH_OBJECTIVE"),
        ({"GSBATCH_MODELS_DIR": "/proc/1/nothing", "GSBATCH_TEMPLATE_DIR": "/no/such/folder"}, "/no/such/folder"),
        ({"GSBATCH_SET": "batch_size=0"}, "batch_size"),
        ({"GSBATCH_ADVICE_TIMEOUT_S": "0.000001"}, "took longer"),
    ],
)
def test_whatever_of_ours_fails_the_job_is_submitted_with_one_line(
    gsbatch: Gsbatch, variables: dict[str, str], said: str
) -> None:
    """Fail open: the script runs, the status is sbatch's, and one line says what failed."""
    done = gsbatch(*facts_without("batch_size"), "train.py", "x", **variables)

    call = gsbatch.sbatch.calls()[0]
    assert ("Submitted batch job 42\n", 0) == (done.stdout, done.returncode)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert f"{gsbatch.folder}/train.py x\n" in call.text


def test_a_broken_installation_submits_the_users_own_words(gsbatch: Gsbatch, tmp_path: Path) -> None:
    """A package of ours that does not load must not cost the job."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "uuid.py").write_text("raise ImportError('no uuid here')\n", encoding="utf-8")

    done = gsbatch(*FACTS, "-n1", "job.sh", "x", PYTHONPATH=f"{broken}:{gsbatch.variables['PYTHONPATH']}")

    assert ["-n1", "job.sh", "x"] == gsbatch.sbatch.calls()[0].words
    assert ("Submitted batch job 42\n", 0) == (done.stdout, done.returncode)
    assert "gsbatch: submitted without advice or record: ImportError: no uuid here\n" == done.stderr


def test_a_user_file_with_a_mistake_costs_the_advice_only(gsbatch: Gsbatch) -> None:
    """The message names file, line and field."""
    config = Path(gsbatch.variables["XDG_CONFIG_HOME"]) / "gsbatch" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("objective = 'energy'\nrecrod = false\n", encoding="utf-8")

    done = gsbatch(*FACTS, "job.sh")

    assert f"{config}, line 2, recrod: there is no such setting" in done.stderr
    assert ["job.sh"] == gsbatch.sbatch.calls()[0].words
    assert 0 == done.returncode


def test_a_missing_script_is_sbatchs_to_refuse(gsbatch: Gsbatch) -> None:
    """Its message and its status; ours adds the reason in a line."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("", "sbatch: error: Unable to open file none.py\n", 1)

    done = gsbatch(*FACTS, "none.py")

    assert 1 == done.returncode
    assert ["none.py"] == gsbatch.sbatch.calls()[0].words
    assert "The script none.py does not exist." in done.stderr


def test_a_heterogeneous_job_passes_through_untouched(gsbatch: Gsbatch) -> None:
    """Components are not ours to read."""
    done = gsbatch("-n1", "--objective", "time", ":", "-n2", "job.sh", "x")

    assert ["-n1", ":", "-n2", "job.sh", "x"] == gsbatch.sbatch.calls()[0].words
    assert "heterogeneous" in done.stderr


def test_usage_is_sbatchs_own(gsbatch: Gsbatch) -> None:
    """What is said of sbatch's options is sbatch's to say."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("Usage: sbatch ...\n")

    assert "Usage: sbatch ...\n" == gsbatch("--usage").stdout
    assert ["--usage"] == gsbatch.sbatch.calls()[0].words


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version_names_gsbatch_and_then_sbatch(gsbatch: Gsbatch, option: str) -> None:
    """One line each, and nothing is submitted."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("slurm 22.05.8\n")
    done = gsbatch(option, "train.py")

    assert (0, f"gsbatch {advisor.__version__}\nslurm 22.05.8\n") == (done.returncode, done.stdout)
    assert ["--version"] == gsbatch.sbatch.calls()[0].words


def test_version_needs_no_slurm(gsbatch: Gsbatch) -> None:
    """On a laptop it names gsbatch alone."""
    (gsbatch.sbatch.folder / "sbatch").unlink()
    done = gsbatch("--version", PATH=str(gsbatch.sbatch.folder))

    assert (0, f"gsbatch {advisor.__version__}\n") == (done.returncode, done.stdout)


def test_version_of_a_gsbatch_named_sbatch_is_sbatchs(gsbatch: Gsbatch) -> None:
    """Workflow managers read the one line that `sbatch --version` prints."""
    (gsbatch.sbatch.folder / "answers.json").unlink()
    gsbatch.sbatch.answers("slurm 22.05.8\n")
    linked = gsbatch.folder / "sbatch"
    linked.write_text(f"#!{sys.executable}\nfrom advisor.cli.gsbatch import main\nmain()\n", encoding="utf-8")
    linked.chmod(0o755)
    done = subprocess.run(
        [linked, "--version"], capture_output=True, text=True, check=False, env=dict(gsbatch.variables)
    )

    assert (0, "slurm 22.05.8\n") == (done.returncode, done.stdout)


def test_a_job_submitted_from_a_job_starts_clean_and_nothing_is_exported(gsbatch: Gsbatch) -> None:
    """No --export of ours, no SLURM_* of the enclosing job, no marker of an enclosing record."""
    gsbatch(*FACTS, "train.py", SLURM_JOB_ID="1", SLURM_CPU_BIND="x", SLURM_CONF="/c", GSBATCH_RECORDED="1")

    call = gsbatch.sbatch.calls()[0]
    assert not any(word.startswith("--export") for word in call.words)
    assert "--export" not in call.text
    assert {"SLURM_CONF"} == {name for name in call.environment if name.startswith("SLURM_")}
    assert "GSBATCH_RECORDED" not in call.environment


def test_nothing_known_of_a_script_means_nothing_picked_for_it(gsbatch: Gsbatch) -> None:
    """A script that tidies a folder must not be sent to a GPU."""
    (gsbatch.folder / "tidy.sh").write_text("#!/bin/sh\nrm -f *.tmp\n", encoding="utf-8")

    done = gsbatch("--no-probe", "tidy.sh")

    assert [] == _header(gsbatch.sbatch.calls()[0].text)
    assert "nothing is known of what tidy.sh trains" in done.stderr
    assert 0 == done.returncode


def test_no_record_leaves_the_recorder_out(gsbatch: Gsbatch) -> None:
    """The picks stay."""
    gsbatch("--no-record", *FACTS, "train.py")

    text = gsbatch.sbatch.calls()[0].text
    assert "recorder" not in text
    assert "#SBATCH --partition=ampere" in text


def test_gsbatch_lines_in_the_script_are_heard(gsbatch: Gsbatch) -> None:
    """#GSBATCH facts and options count below the command line's."""
    script = "#!/bin/bash\n#GSBATCH --no-record --set epochs=7\npython train.py\n"
    (gsbatch.folder / "job.sh").write_text(script, encoding="utf-8")

    done = gsbatch(*facts_without("epochs"), "job.sh")

    assert "recorder" not in gsbatch.sbatch.calls()[0].text
    assert "7 epochs" in done.stderr


def test_without_sbatch_the_message_names_the_ways_on(gsbatch: Gsbatch, tmp_path: Path) -> None:
    """Exit status 3, one message, nothing written."""
    empty = tmp_path / "empty"
    empty.mkdir()

    done = gsbatch(*FACTS, "train.py", PATH=str(empty))

    assert 3 == done.returncode
    assert "'sbatch' is not on PATH" in done.stderr
    assert "--local" in done.stderr
    assert not gsbatch.spool.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--objective", "time", "--objective", "energy"),
        ("--set", "epochs=1", "--set", "epochs=2"),
        ("--objective", "beauty"),
        ("--set", "epochs"),
        ("--set", "epoch=5"),
        ("--set", "batch_size=many"),
        ("--energy-budget", "much"),
        ("--local", "--json"),
        ("--json", "--print-script"),
        ("--advise=yes",),
        ("--inventory",),
    ],
)
def test_a_mistake_in_our_own_options_is_refused_before_anything_happens(
    gsbatch: Gsbatch, words: tuple[str, ...]
) -> None:
    """As sbatch refuses its own: status 2, one message, no submission."""
    done = gsbatch(*words, *([] if words == ("--inventory",) else ["train.py"]))

    assert 2 == done.returncode
    assert 1 <= len(done.stderr.splitlines()) <= 2
    assert [] == gsbatch.sbatch.calls()


def test_an_ambiguous_gpu_leaves_the_prediction_open(gsbatch: Gsbatch) -> None:
    """-p a,b starts where there is room first: what will run there is not known, so nothing is promised."""
    gsbatch("-p", "ampere,gtx", "-G1", *FACTS, "train.py")

    ticket = find_ticket(gsbatch.spool, "demo", "42")
    assert ticket is not None
    assert ticket.prediction is None


def test_the_users_python_runs_the_training(gsbatch: Gsbatch, tmp_path: Path) -> None:
    """The one on the user's PATH, not ours; links stay, because a virtual environment is known by its link."""
    mine = tmp_path / "venv" / "bin"
    mine.mkdir(parents=True)
    (mine / "python").symlink_to("/bin/true")

    gsbatch(*FACTS, "train.py", PATH=f"{mine}{os.pathsep}{gsbatch.variables['PATH']}")

    assert f"set -- {mine}/python {gsbatch.folder}/train.py\n" in gsbatch.sbatch.calls()[0].text
