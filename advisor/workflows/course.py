"""How a run went by its trace: its epochs, its projections, and why it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.corpus.run import RunEpoch
from advisor.telemetry.digest import TraceDigest
from advisor.telemetry.trace import Projection, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """``projections`` are those of the last epoch that had any, the best last; none once the job has ended.

    ``stop`` is the last decision to stop the training, None where there was none.
    """

    epochs: tuple[RunEpoch, ...] = ()
    projections: tuple[Projection, ...] = ()
    stop: Stop | None = None


def course_of(trace: TraceDigest, epochs: Sequence[RunEpoch], *, finished: bool) -> Course:
    """The course of an attempt, by its first node's trace."""
    return Course(epochs=tuple(epochs), projections=() if finished else trace.projections, stop=trace.stop)
