"""The ticket: what was advised and predicted for a submitted job, kept beside the job's traces.

File name: ``cluster-jobid.ticket.json``. One ticket serves all tasks of an array and all attempts of a job.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import StorageError, TelemetryError
from advisor.inspection.workload import Workload
from advisor.prediction.prediction import ModelIdentity, Prediction
from advisor.storage.folder import opened_folder
from advisor.storage.plain_data import from_plain, to_plain
from advisor.storage.plain_text import all_escaped, may_need_escapes
from advisor.storage.untrusted_file import check_owner, read_file
from advisor.units import MIB

TICKET_SCHEMA_VERSION = 1
TICKET_SUFFIX = ".ticket.json"
# Reading JSON takes up to 40 times its size.
MAX_TICKET_BYTES = 2 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFile:
    """The Python file that trains: the script itself, or the one that a batch script starts, with its arguments."""

    path: str
    sha256: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Written once, at submission.

    ``prediction`` is of the placement that the job was submitted to, as far as that is known
    (None where the user's options ask for something the advisor does not predict).

    ``script_sha256`` is of the user's script, not of the generated one. ``followed`` says whether the advice was taken.
    ``training`` is None where no Python file could be told.
    """

    schema: int
    ticket_id: str
    cluster: str
    job_id: str
    submitted_at: str
    user: str
    script_path: str
    script_sha256: str
    arguments: tuple[str, ...]
    workload: Workload
    prediction: Prediction | None
    model: ModelIdentity | None
    objective: str
    followed: bool
    training: TrainingFile | None = None


def ticket_name(cluster: str, job_id: str) -> str:
    """The file name of a job's ticket; for an array, of the array's id."""
    return f"{cluster}-{job_id}{TICKET_SUFFIX}"


def ticket_to_json(ticket: Ticket) -> str:
    """The whole ticket as one JSON object."""
    return json.dumps(to_plain(ticket), indent=1) + "\n"


def ticket_from_json(text: str, *, with_prediction: bool = True) -> Ticket:
    """Read a ticket back; texts in it are escaped (``storage/plain_text.py``).

    Args:
        text: the file's.
        with_prediction: False leaves out the prediction, which is most of a ticket.

    Raises:
        TelemetryError: it is no ticket, or of a schema that this program does not know.
    """
    try:
        plain = json.loads(text, parse_constant=_refuse_constant)
        if may_need_escapes(text):
            plain = all_escaped(plain)
    except (ValueError, RecursionError) as exc:
        raise TelemetryError(f"The ticket is no JSON: {exc}") from exc
    schema = plain.get("schema") if isinstance(plain, dict) else None
    if schema != TICKET_SCHEMA_VERSION:
        raise TelemetryError(f"The ticket has schema {schema!r}; this program reads {TICKET_SCHEMA_VERSION}.")
    ticket: Ticket = from_plain(Ticket, plain if with_prediction else plain | {"prediction": None}, where="ticket")
    return ticket


def _refuse_constant(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError(f"{name} is no number")


def write_ticket(ticket: Ticket, spool_dir: Path) -> Path:
    """Write a ticket whole or not at all, readable by its owner only; makes the spool folder where it is missing.

    Raises:
        TelemetryError: it cannot be written.
    """
    name = ticket_name(ticket.cluster, ticket.job_id)
    try:
        with opened_folder(spool_dir, make=True, may_be_shared=True) as folder:
            folder.write(name, ticket_to_json(ticket).encode())
    except StorageError as exc:
        raise TelemetryError(f"The ticket of job {ticket.job_id} cannot be written: {exc}", hint=exc.hint) from exc
    return spool_dir / name


def read_ticket(path: Path) -> Ticket:
    """Read a ticket file of one's own: what another laid there may be of any size, or a trap.

    Raises:
        TelemetryError: it cannot be read, is no ticket, or is another's.
    """
    try:
        file = read_file(path, MAX_TICKET_BYTES)
        check_owner(file.state.owner_uid, os.getuid())
        return ticket_from_json(file.text)
    except TelemetryError as exc:
        raise TelemetryError(f"{path}: {exc}") from exc


def find_ticket(spool_dir: Path, cluster: str, job_id: str) -> Ticket | None:
    """The ticket of a job, None where it has none.

    Raises:
        TelemetryError: it is there and cannot be read.
    """
    path = spool_dir / ticket_name(cluster, job_id)
    return read_ticket(path) if path.exists() else None
