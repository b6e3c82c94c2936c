"""gsadmin sets up, ingests, looks, retrains and checks; each command says what it did and how it ended."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from advisor.cli.gsadmin import COMMANDS, gsadmin
from advisor.cli.gsadmin import main as gsadmin_main
from advisor.corpus import store
from advisor.submission.ticket import ticket_name, ticket_to_json
from advisor.telemetry.trace import Trace
from advisor.workflows.fits import fits_of
from tests.cli.site import Outcome, Site, make_site
from tests.cli.test_report import RUN
from tests.corpus.measured import HEADER, JOB, USER, made_ticket, made_trace, spooled
from tests.two_users import needs_root

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A site on which nothing is set up."""
    return make_site(tmp_path, monkeypatch, capsys)


@pytest.fixture
def ingested(site: Site) -> Site:
    """A site with one advised, finished run in its corpus, and one file that was not believed."""
    run(site, "init")
    put(site, made_trace())
    (site.spool / ticket_name("mini", "7")).write_text(ticket_to_json(made_ticket()))
    (site.spool / "bad\x1b[2J.trace.jsonl").write_text("nonsense\n")
    site.accounting_says(JOB)
    run(site, "ingest")
    return site


def run(site: Site, *words: str) -> Outcome:
    """Run gsadmin."""
    return site.run(gsadmin_main, *words)


def put(site: Site, trace: Trace) -> None:
    """Write a trace into the site's spool folder."""
    spooled(site.spool, trace)


def test_init_makes_what_is_missing_and_says_so(site: Site) -> None:
    """Folders get the modes that their use asks for; a second init changes nothing."""
    first = run(site, "init")
    second = run(site, "init")
    shared = os.geteuid() == 0

    assert (0, 0) == (first.status, second.status)
    assert (0o1777 if shared else 0o700) == stat.S_IMODE(site.spool.stat().st_mode)
    assert (0o755 if shared else 0o700) == stat.S_IMODE(site.models.stat().st_mode)
    assert ["spool: made", "models: made", "corpus: made"] == [
        " ".join(line.split()[:2]) for line in first.stdout.splitlines()
    ]
    assert 3 == second.stdout.count("is there")


def test_init_for_a_folder_for_each_user(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With spool_dir = ".../$USER" in the site file, the folder above is everyone's and the user's own is private."""
    (tmp_path / "site.toml").write_text(f'spool_dir = "{tmp_path}/shared/$USER"\n')
    monkeypatch.delenv("GSBATCH_SPOOL_DIR")
    monkeypatch.setenv("USER", "root")
    monkeypatch.setenv("LOGNAME", "root")
    run(site, "init")

    assert (0o1777, 0o700) == (
        stat.S_IMODE((tmp_path / "shared").stat().st_mode),
        stat.S_IMODE((tmp_path / "shared" / "root").stat().st_mode),
    )
    assert f"OK    spool: {tmp_path}/shared/root (mode 0700)\n" in run(site, "doctor").stdout


@needs_root
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_init_makes_the_folders_of_users(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, umask: int
) -> None:
    """The folder above is not writable then, so that nobody can take a name; each user's is the user's alone."""
    monkeypatch.setenv("GSBATCH_SPOOL_DIR", str(tmp_path / "shared" / "all" / "$USER"))
    before = os.umask(umask)
    try:
        first = run(site, "init", "--user", "nobody", "--user", "daemon")
    finally:
        os.umask(before)
    second = run(site, "init", "--user", "nobody")
    folder = tmp_path / "shared" / "all"
    made = [folder.parent, folder, folder / "nobody", folder / "daemon"]

    assert (0, 0) == (first.status, second.status), first.stderr + second.stderr
    assert [0o755, 0o755, 0o700, 0o700] == [path.stat().st_mode & 0o7777 for path in made]
    assert ["root", "root", "nobody", "daemon"] == [path.owner() for path in made]
    assert f"{folder}/nobody is there" in second.stdout


@needs_root
def test_init_says_which_user_folder_is_taken(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder, or a link, that another user has put in a user's place stays, and the others are made."""
    monkeypatch.setenv("GSBATCH_SPOOL_DIR", str(tmp_path / "all" / "$USER"))
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "nobody").mkdir()
    (tmp_path / "all" / "bin").symlink_to(tmp_path)
    outcome = run(site, "init", "--user", "nobody", "--user", "bin", "--user", "daemon", "--user", "no-such-user")

    assert 2 == outcome.status
    for said in ("belongs to uid 0", "symbolic link", "there is no user no-such-user"):
        assert said in outcome.stderr
    assert ("root", "daemon") == ((tmp_path / "all" / "nobody").owner(), (tmp_path / "all" / "daemon").owner())


def test_init_for_users_needs_a_spool_of_each_user(site: Site) -> None:
    """In one folder for all there is nothing to make for a user."""
    outcome = run(site, "init", "--user", "nobody")

    assert (2, True) == (outcome.status, "$USER" in outcome.stderr)


def test_init_says_what_it_cannot_make(site: Site) -> None:
    """Where a folder cannot be made, the message names it and the way out."""
    site.spool.write_text("a file is in the way")
    outcome = run(site, "init")

    assert (2, "") == (outcome.status, outcome.stdout)
    assert f"The spool folder {site.spool} cannot be made" in outcome.stderr


def test_ingest_tells_what_it_did(site: Site) -> None:
    """A person reads counts and each rejected file with its reason, without what could steer the terminal."""
    run(site, "init")
    put(site, made_trace())
    (site.spool / "bad\x1b[2J.trace.jsonl").write_text("nonsense\n")
    site.accounting_says(JOB)
    outcome = run(site, "ingest")

    assert 0 == outcome.status
    assert "1 traces read, 0 unchanged; 1 runs added, 0 updated, 1 files rejected" in outcome.stdout
    assert "rejected bad?[2J.trace.jsonl:" in outcome.stdout
    assert "\x1b" not in outcome.stdout


def test_ingest_json_has_the_counts(ingested: Site) -> None:
    """A cron job gets the same as JSON; an unchanged spool is only looked at."""
    found = json.loads(run(ingested, "ingest", "--json").stdout)

    assert (0, 1, 0, 0, 1) == (
        found["traces_read"],
        found["traces_skipped"],
        found["runs_added"],
        found["runs_updated"],
        found["rejected_before"],
    )
    assert [] == found["rejected"]


def test_ingest_of_another_folder_into_another_corpus(site: Site, tmp_path: Path) -> None:
    """--spool and --corpus win over the settings."""
    (tmp_path / "other").mkdir()
    spooled(tmp_path / "other", made_trace())
    site.accounting_says(JOB)
    outcome = run(site, "ingest", "--spool", str(tmp_path / "other"), "--corpus", str(tmp_path / "other.db"))

    assert "1 runs added" in outcome.stdout
    assert (True, False) == ((tmp_path / "other.db").exists(), site.corpus.exists())


@needs_root
def test_root_ingests_the_folders_of_all_users(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As from cron, with the site's setting alone: its own folder is not the one that jobs write to."""
    (tmp_path / "site.toml").write_text(f'spool_dir = "{tmp_path}/all/$USER"\n')
    monkeypatch.delenv("GSBATCH_SPOOL_DIR")
    (tmp_path / "all" / "nobody").mkdir(parents=True)
    spooled(tmp_path / "all" / "nobody", made_trace())
    site.accounting_says(JOB)
    found = run(site, "ingest")
    (tmp_path / "empty").mkdir()
    nothing = run(site, "ingest", "--spool", str(tmp_path / "empty"))

    assert "1 runs added" in found.stdout
    assert f"spool {tmp_path}/all," in found.stdout
    assert "no trace lies in that folder" in nothing.stdout


def test_ingest_without_spool_names_the_next_step(site: Site) -> None:
    """A spool folder that is not there is a clear error with status 8."""
    outcome = run(site, "ingest")

    assert 8 == outcome.status
    assert "gsadmin init" in outcome.stderr


def test_ingest_without_slurm_stores_nothing(site: Site) -> None:
    """Where accounting cannot be asked, the status is 3 and the corpus stays as it was."""
    run(site, "init")
    put(site, made_trace())
    site.program("sacct", "echo 'sacct: error: no slurmdbd' >&2; exit 1")
    outcome = run(site, "ingest")

    assert 3 == outcome.status
    assert "no slurmdbd" in outcome.stderr
    assert 0 == json.loads(run(site, "corpus", "stats", "--json").stdout)["runs"]


def test_second_ingest_at_once_is_refused(site: Site) -> None:
    """Two at once are not: the second ends with status 9 and says why."""
    run(site, "init")
    with store.writing(site.corpus):
        outcome = run(site, "ingest")

    assert 9 == outcome.status
    assert "Another gsadmin is writing" in outcome.stderr


def test_corpus_statistics(ingested: Site) -> None:
    """What lies in the corpus is counted, in all and by partition and GPU."""
    found = json.loads(run(ingested, "corpus", "stats", "--json").stdout)
    text = run(ingested, "corpus", "stats").stdout

    assert (1, 1, 5, 1, 1, 1) == tuple(
        found[name] for name in ("jobs", "runs", "epochs", "traces", "tickets", "rejected")
    )
    assert "ampere, NVIDIA A100-SXM4-80GB: 1 runs, 1 advised, 1 complete, 10 kJ" in text


def test_corpus_lists_runs_and_rejected_files(ingested: Site) -> None:
    """Runs and rejected files can be looked at one by one."""
    runs = run(ingested, "corpus", "runs", "--user", USER).stdout
    rejected = run(ingested, "corpus", "rejected").stdout

    assert runs.startswith(f"7  2023-11-14T22:13:20+00:00  {USER}  COMPLETED  ampere")
    assert "" == run(ingested, "corpus", "runs", "--user", "bob").stdout
    assert "a line is not JSON" in rejected
    assert "\x1b" not in rejected


def test_a_full_disk_behind_an_export_is_not_the_corpuss(ingested: Site) -> None:
    """The message names what failed, or an admin looks for the fault in the wrong file."""
    outcome = run(ingested, "corpus", "export", "/dev/full")

    assert (1, "gsadmin: the output cannot be written: No space left on device\n") == (outcome.status, outcome.stderr)


def test_corpus_exports_csv(ingested: Site, tmp_path: Path) -> None:
    """Every run becomes one line with its facts, its measurement and its prediction."""
    on_stdout = run(ingested, "corpus", "export").stdout
    run(ingested, "corpus", "export", str(tmp_path / "runs.csv"))
    (row,) = csv.DictReader(io.StringIO(on_stdout))

    assert ("7", "10000.0", "5", "10000.0", "8000.0", "resnet50") == (
        row["job_id"],
        row["energy_j"],
        row["workload_epochs"],
        row["predicted_energy_j_value"],
        row["predicted_energy_j_low"],
        row["workload_model_name"],
    )
    assert on_stdout.splitlines() == (tmp_path / "runs.csv").read_text().splitlines()


def test_corpus_check_and_vacuum(ingested: Site) -> None:
    """A sound corpus is said to be so, also after its space was given back; a damaged one ends with status 9."""
    assert "is sound" in run(ingested, "corpus", "check").stdout
    assert 0 == run(ingested, "corpus", "vacuum").status
    assert "is sound" in run(ingested, "corpus", "check").stdout
    content = bytearray(ingested.corpus.read_bytes())
    content[4096 : 4096 + 2048] = b"\xff" * 2048
    ingested.corpus.write_bytes(content)
    assert 9 == run(ingested, "corpus", "check").status


def test_corpus_commands_without_corpus(site: Site) -> None:
    """Every look into a corpus that is not there says who makes it."""
    for words in (("stats",), ("runs",), ("rejected",), ("export",), ("check",)):
        outcome = run(site, "corpus", *words)

        assert 9 == outcome.status
        assert "gsadmin init" in outcome.stderr


def test_models_are_listed_and_shown(site: Site) -> None:
    """A site without models of its own predicts with the prior, whose card can be read."""
    (prior,) = json.loads(run(site, "models", "list", "--json").stdout)
    card = run(site, "models", "show", "prior")

    assert (True, "prior") == (prior["predicts"], prior["name"])
    assert run(site, "models", "list").stdout.startswith("* prior")
    assert 0 == card.status
    assert card.stdout == run(site, "models", "show").stdout
    assert isinstance(json.loads(run(site, "models", "show", "--json").stdout), dict)


def test_models_that_are_not_there(site: Site) -> None:
    """An unknown version, or nothing to roll back to, is status 6 with the next step."""
    assert 6 == run(site, "models", "show", "none").status
    assert 6 == run(site, "models", "promote", "none").status
    assert 6 == run(site, "models", "rollback").status


def test_retrain_without_runs_makes_no_model(site: Site) -> None:
    """An empty corpus teaches nothing: no version is stored, and the reason is said."""
    run(site, "init")
    outcome = run(site, "retrain")

    assert 0 == outcome.status
    assert "no model was made: the corpus has no run to learn from" in outcome.stdout
    assert 1 == len(json.loads(run(site, "models", "list", "--json").stdout))


def test_retrain_stores_promotes_and_rolls_back(site: Site) -> None:
    """Corpus runs become a stored version with a card; promotion and rollback say which model predicts."""
    run(site, "init")
    jobs = []
    for number in range(6):
        put(site, made_trace(replace(HEADER, job_id=str(number))))
        (site.spool / ticket_name("mini", str(number))).write_text(
            ticket_to_json(replace(made_ticket(), job_id=str(number)))
        )
        jobs.append(replace(JOB, job_id=str(number), shown_id=str(number)))
    site.accounting_says(*jobs)
    run(site, "ingest")
    report = json.loads(run(site, "retrain", "--no-promote", "--json").stdout)
    version = report["version"]

    assert (6, False, []) == (report["corpus_runs"], report["promoted"], report["left_out"])
    assert 0 == run(site, "models", "promote", version).status
    assert f"* {version}" in run(site, "models", "list").stdout
    assert "prior" in run(site, "models", "rollback").stdout
    assert run(site, "models", "list").stdout.startswith("* prior")


def test_calibrate_shows_error_and_coverage(ingested: Site) -> None:
    """The corpus's one advised run is held against its prediction: 10 kJ predicted, 10 kJ measured."""
    text = run(ingested, "calibrate").stdout
    found = {fit["quantity"]: fit for fit in json.loads(run(ingested, "calibrate", "--json").stdout)}

    assert "NVIDIA A100-SXM4-80GB" in text
    assert (1, pytest.approx(0.0), 1.0) == tuple(found["energy_j"][name] for name in ("runs", "error", "within"))
    assert "no finished run" in run(ingested, "calibrate", "--model", "none").stdout


def test_calibrate_applies_to_partitions_and_can_be_taken_back(ingested: Site) -> None:
    """One recorded run already makes a model that predicts from then on; it names the partition and what moved."""
    wrong = run(ingested, "calibrate", "--partition", "ampere")
    report = json.loads(run(ingested, "calibrate", "--apply", "--json").stdout)

    assert (2, [1]) == (wrong.status, [partition["runs"] for partition in report["partitions"]])
    assert f"* {report['version']}" in run(ingested, "models", "list").stdout
    assert "nothing was calibrated" in run(ingested, "calibrate", "--apply", "--partition", "none").stdout
    assert "prior" in run(ingested, "models", "rollback").stdout


def test_calibration_counts_only_what_can_be_compared() -> None:
    """Failed runs count with their epochs, never with their totals; the median is of ratios, so twofold is twofold."""
    halved = replace(RUN, energy_j=20_000.0)
    failed = replace(RUN, state="FAILED", energy_j=1.0)
    fits = {fit.quantity: fit for fit in fits_of([halved, halved, failed], "all")}
    energy = fits["energy_j"]

    assert (2, 0.0) == (energy.runs, energy.within)
    assert pytest.approx(-0.5) == energy.bias
    assert pytest.approx(1.0) == energy.error
    assert 3 == fits["epoch_energy_j"].runs


def test_doctor_without_slurm_fails_with_next_steps(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every failing check has a next step, every setting its source, and the status says that something fails."""
    monkeypatch.setenv("PATH", str(site.programs))
    outcome = run(site, "doctor", "--json")
    found = json.loads(outcome.stdout)
    verdicts = {check["name"]: check for check in found["checks"]}

    assert 1 == outcome.status
    assert ("FAIL", "FAIL", "OK") == tuple(verdicts[name]["verdict"] for name in ("slurm", "spool", "model"))
    assert [] == [check["name"] for check in found["checks"] if check["verdict"] == "FAIL" and not check["next_step"]]
    assert "environment GSBATCH_SPOOL_DIR" == found["settings"]["spool_dir"]["source"]


def test_doctor_of_a_site_that_is_set_up(ingested: Site) -> None:
    """Slurm up, folders and corpus made, model sound: nothing fails, and each check has one line."""
    ingested.program("sbatch", "echo slurm 22.05.8")
    ingested.program(
        "scontrol",
        'if [ "$1" = ping ]; then echo "Slurmctld(primary) at n is UP"; else cat <<END\n'
        "SLURM_VERSION           = 22.05.8\nClusterName             = mini\nEND\nfi",
    )
    outcome = run(ingested, "doctor")

    assert "FAIL" not in outcome.stdout
    assert 0 == outcome.status
    for line in (
        f"OK    slurm: slurm 22.05.8, {ingested.programs}/sbatch",
        "OK    slurmctld: Slurmctld(primary) at n is UP",
        "OK    accounting: sacct answers",
        "OK    backend: commands: pyslurm is not installed",
        "OK    corpus: 1 runs, 1 files rejected, version 4",
    ):
        assert line in outcome.stdout


def test_doctor_finds_a_spool_without_sticky_bit(site: Site) -> None:
    """A world-writable spool in which users can remove each other's traces fails."""
    run(site, "init")
    site.spool.chmod(0o777)
    text = run(site, "doctor").stdout

    assert "without the sticky bit" in text
    assert f"next: chmod 1777 {site.spool}" in text


def test_doctor_finds_an_altered_model(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose files do not match their checksums fails, with the way back."""
    (site.models / "energy").mkdir(parents=True)
    (site.models / "energy" / "PROMOTED").write_text('[{"version": "gone", "promoted_at": ""}]')
    found = json.loads(run(site, "doctor", "--json").stdout)
    (check,) = [check for check in found["checks"] if check["name"] == "model"]

    assert ("FAIL", True) == (check["verdict"], "gone" in check["message"])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_examples(name: str) -> None:
    """The line in gsadmin's own help is the command's first line, and each command's help ends with examples."""
    context = click.Context(gsadmin, info_name="gsadmin")
    command = gsadmin.get_command(context, name)

    assert command is not None
    assert COMMANDS[name][1] == command.get_short_help_str(200)
    assert "Examples:" in command.get_help(click.Context(command, info_name=name, parent=context))


def test_unknown_command_is_named(site: Site) -> None:
    """A mistyped command is status 2 with click's own message."""
    outcome = run(site, "ingets")

    assert 2 == outcome.status
    assert "No such command 'ingets'" in outcome.stderr


def test_help_loads_no_heavy_module() -> None:
    """Help and tab completion do not pay for scikit-learn, NVML or SQLite."""
    code = (
        "import sys; sys.argv = ['gsadmin', '--help']\n"
        "from advisor.cli.gsadmin import main\n"
        "try: main()\n"
        "except SystemExit: print([m for m in ('numpy', 'sklearn', 'sqlite_utils', 'pynvml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.splitlines()[-1]
