"""What ``sbatch --test-only`` says of a job's start."""

from __future__ import annotations

from advisor.submission.expected_start import parse_expected_start


def test_the_start_is_read_from_between_other_lines() -> None:
    """Plugins of a site write to the same stream, so the line is looked for."""
    said = (
        "sbatch: lua: a message of the site\n"
        "sbatch: Job 11 to start at 2026-11-24T08:02:34 a using 1 processors on nodes r3070n1 in partition rtx\n"
    )

    assert parse_expected_start(said) == "2026-11-24T08:02:34"


def test_a_refusal_has_no_start() -> None:
    """What Slurm would refuse has no start, and none is made up."""
    assert parse_expected_start("allocation failure: Requested node configuration is not available\n") is None
