"""One test cluster for the whole session, and its logs beside the failure when a test on it fails."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.capabilities import why_no_real_slurm
from tests.real_slurm.cluster import Cluster
from tests.real_slurm.site import install_site

_CLUSTER = pytest.StashKey[Cluster]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip every test that needs the cluster where it cannot run, which the summary then says in one line a file."""
    marked = [item for item in items if item.get_closest_marker("real_slurm")]
    if not marked or os.environ.get("CI") == "true":
        return
    reason = why_no_real_slurm()
    if reason is not None:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def real_slurm() -> None:
    """Fail where the cluster cannot run and may not be skipped: under CI=true nothing goes unseen."""
    reason = why_no_real_slurm()
    if reason is not None:
        pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def cluster(real_slurm: None, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The session's cluster, running. A test that changes its state puts it back."""
    folder = Path(tempfile.mkdtemp(prefix="gsbatch-slurm-"))
    running = Cluster(folder)
    try:
        running.start()
        request.config.stash[_CLUSTER] = running
        yield running
    finally:
        if (folder / "pids").exists():
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def site(cluster: Cluster) -> Path:
    """The ``bin`` folder of a gsbatch that every user can run: the built wheel, installed as an admin would."""
    folder = cluster.folder / "site"
    folder.mkdir()
    return install_site(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the cluster's logs into the report of a failed test."""
    report = yield
    running = item.config.stash.get(_CLUSTER, None)
    if report.failed and running is not None and "cluster" in getattr(item, "fixturenames", ()):
        report.sections.append(("Slurm's logs", running.logs()))
    return report
