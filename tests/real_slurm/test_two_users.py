"""Two users of one cluster and one spool: neither can cost the other more than a record."""

from __future__ import annotations

import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from advisor.telemetry.reading import parse_trace
from tests.cli.gsbatch_calls import FACTS
from tests.real_slurm.cluster import Cluster
from tests.real_slurm.user import User, make_user

pytestmark = pytest.mark.real_slurm

SCRIPT = "#!/bin/bash\npython3 -c 'import time; time.sleep(1)'\n"


@pytest.fixture
def shared() -> Iterator[Path]:
    """The folder of a spool for each user, made sticky and writable for all."""
    folder = Path(tempfile.mkdtemp(prefix="gsbatch-shared-"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def alice(cluster: Cluster, site: Path, request: pytest.FixtureRequest) -> User:
    """Alice with a job script of hers."""
    user = make_user(cluster, site, f"two-{abs(hash(request.node.name))}")
    user.write("job.sh", SCRIPT)
    return user


def env_of(names: dict[str, str]) -> list[str]:
    """Words that run a command with these variables."""
    return ["env", *(f"{name}={value}" for name, value in names.items())]


def submitted(alice: User, spool: str) -> tuple[str, str]:
    """Submit the script under the recorder with this spool folder; job id and stderr."""
    done = alice.cluster.run_as(
        "alice",
        [str(alice.site / "gsbatch"), "--parsable", *FACTS, "-p", "debug", "-n1", "--mem=500", "job.sh"],
        cwd=alice.folder,
        env={"GSBATCH_SPOOL_DIR": spool, "GSBATCH_GPU_READINGS": str(alice.folder / "one_gpu_steady.jsonl")},
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize("laid", ["folder", "link"])
def test_a_spool_folder_that_bob_made_gets_nothing(alice: User, shared: Path, laid: str) -> None:
    """The job runs and ends as it would; its trace lies in the submit folder, its ticket nowhere."""
    if laid == "folder":
        words = ["sh", "-c", f"mkdir {shared}/alice && chmod 1777 {shared}/alice"]
    else:
        words = ["ln", "-s", str(alice.folder), f"{shared}/alice"]
    assert 0 == alice.cluster.run_as("bob", words).returncode
    job_id, said = submitted(alice, f"{shared}/$USER")
    state = alice.cluster.wait_for_job(job_id)
    (path,) = alice.folder.glob("*.trace.jsonl")

    assert "COMPLETED" == state
    assert "cannot be written" in said
    assert parse_trace(path.read_text(encoding="utf-8")).footer is not None
    if laid == "folder":
        assert [] == list((shared / "alice").iterdir())
    assert [] == list(alice.folder.glob("*.ticket.json"))


def test_folders_that_the_admin_makes_are_their_users_alone(cluster: Cluster, site: Path, alice: User) -> None:
    """Gsadmin init --all-users asks accounting; nobody can take another's name, and each records into their own."""
    above = Path(tempfile.mkdtemp(prefix="gsbatch-shared-"))
    spool = above / "spool"
    names = {
        "GSBATCH_SPOOL_DIR": f"{spool}/$USER",
        "GSBATCH_CORPUS": f"{above}/c.db",
        "GSBATCH_MODELS_DIR": f"{above}/m",
    }
    above.chmod(0o755)
    try:
        made = cluster.run([*env_of(names), str(site / "gsadmin"), "init", "--all-users"])
        job_id, _said = submitted(alice, f"{spool}/$USER")
        cluster.wait_for_job(job_id)
        ingested = cluster.run([*env_of(names), str(site / "gsadmin"), "ingest", "--spool", str(spool)])

        assert 0 == made.returncode, made.stderr
        for name in ("alice", "bob"):
            status = (spool / name).stat()
            assert (pwd.getpwnam(name).pw_uid, 0o700) == (status.st_uid, status.st_mode & 0o7777)
        assert 0 != cluster.run_as("bob", ["mkdir", f"{spool}/carol"]).returncode
        assert 0 != cluster.run_as("bob", ["ls", f"{spool}/alice"]).returncode
        assert 2 == len(list((spool / "alice").iterdir()))
        assert "1 runs added" in ingested.stdout, ingested.stdout + ingested.stderr
    finally:
        shutil.rmtree(above)


def test_a_corpus_that_is_the_admins_alone_says_nothing_to_users(cluster: Cluster, site: Path, alice: User) -> None:
    """A normal site: gseff shows the user's job from spool and accounting, doctor finds nothing to mend."""
    above = Path(tempfile.mkdtemp(prefix="gsbatch-shared-"))
    above.chmod(0o755)
    names = {"GSBATCH_SPOOL_DIR": f"{above}/spool/$USER", "GSBATCH_CORPUS": f"{above}/c.db"}
    names["GSBATCH_MODELS_DIR"] = f"{above}/models"
    try:
        cluster.run([*env_of(names), str(site / "gsadmin"), "init", "--user", "alice"])
        job_id, _said = submitted(alice, f"{above}/spool/$USER")
        cluster.wait_for_job(job_id)
        shown = cluster.run_as("alice", [str(site / "gseff"), job_id], env=names)
        doctor = cluster.run_as("alice", [str(site / "gsadmin"), "doctor"], env=names)

        assert (0, "") == (shown.returncode, shown.stderr)
        assert f"Job {job_id}, alice" in shown.stdout
        assert "OK    corpus" in doctor.stdout
    finally:
        shutil.rmtree(above)
