"""The backend is chosen by itself, can be forced, and says why."""

from __future__ import annotations

import pytest

from advisor.errors import UsageError
from advisor.inventory.backend import BackendChoice, choose_backend


@pytest.mark.parametrize(
    ("wanted", "slurm", "pyslurm", "problem", "expected"),
    [
        ("auto", "25.11.7", "25.11.2", None, ("pyslurm", "pyslurm 25.11.2 matches the running Slurm 25.11.7")),
        ("pyslurm", "25.11.7", "25.11.2", None, ("pyslurm", "asked for; 25.11.2 matches the running Slurm 25.11.7")),
        ("commands", "25.11.7", "25.11.2", None, ("commands", "asked for")),
        ("auto", "25.11.7", None, None, ("commands", "pyslurm is not installed")),
        ("auto", "22.05.8", "25.11.2", None, ("commands", "pyslurm 25.11.2 is not for the running Slurm 22.05.8")),
        ("auto", None, "25.11.2", None, ("commands", "the running Slurm did not tell its version")),
        ("auto", "25.11.7", "25.11.2", "libslurm.so", ("commands", "pyslurm does not import: libslurm.so")),
    ],
)
def test_pyslurm_is_used_where_it_imports_and_matches(
    wanted: str, slurm: str | None, pyslurm: str | None, problem: str | None, expected: tuple[str, str]
) -> None:
    """Versions match where year and month are the same; in every other case the commands serve."""
    choice = choose_backend(wanted, slurm, pyslurm_version=lambda: pyslurm, imports=lambda: problem)

    assert BackendChoice(*expected) == choice


def test_pyslurm_is_not_imported_for_another_slurm() -> None:
    """Importing it reads slurm.conf and may end the process, so that it is tried last."""

    def imported() -> str | None:
        raise AssertionError("pyslurm was imported")

    choice = choose_backend("auto", "22.05.8", pyslurm_version=lambda: "25.11.2", imports=imported)

    assert "commands" == choice.backend


@pytest.mark.parametrize(("wanted", "message"), [("pyslurm", "pyslurm is not installed"), ("rest", "not a backend")])
def test_a_forced_backend_that_cannot_serve_is_an_error(wanted: str, message: str) -> None:
    """Who forces one wants to know, not to be given the other."""
    with pytest.raises(UsageError, match=message):
        choose_backend(wanted, "25.11.7", pyslurm_version=lambda: None, imports=lambda: None)
