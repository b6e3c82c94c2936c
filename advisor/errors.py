"""Every error a user can meet, in one tree; foreign errors are translated at the edge that meets them.

    AdvisorError                     exit status 1
    ├── ExtraMissing            1    a command needs packages that were not installed with gsbatch
    ├── UsageError              2    the command line, a directive or a setting is wrong
    │   └── ConfigurationError  2    a file the user or site wrote has a mistake; names file, line and field
    ├── ScriptError             2    the training script is missing, unreadable or not a script
    ├── SlurmError              3
    │   ├── SlurmNotFound       3    a Slurm command is not on PATH
    │   └── SlurmCommandFailed  3    a Slurm command ran and failed or timed out
    ├── InventoryError          4    the cluster could not be read, or offers no GPU this user may use
    ├── InspectionError         5    the dry run of a script could not be done
    ├── PredictionError         6
    │   ├── ImplausibleWorkload 6    a workload fact is absurd (batch size 0, negative samples)
    │   └── ModelError          6    a stored model is missing, altered or of another version
    ├── RenderingError          7    a template is missing or asks for a value that it was not given
    ├── TelemetryError          8    a trace or ticket cannot be read
    ├── CorpusError             9    the corpus cannot be opened, is locked or is newer than this program
    └── StorageError           10    a private folder or file is missing, is somebody else's, or others may write to it

The exit status stands on the class. ``gsbatch`` itself exits with sbatch's status once sbatch has been called.
"""

from __future__ import annotations

import sys


class AdvisorError(Exception):
    """Base of all errors this package raises on purpose.

    Args:
        message: what is wrong, in one sentence.
        hint: the next step for the user, in one sentence; printed on its own line.
    """

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def with_hint(self) -> str:
        """The message and, where there is one, the next step, in one line."""
        return f"{self} {self.hint}" if self.hint else str(self)


class ExtraMissing(AdvisorError):
    """A command needs an extra of gsbatch, packages that a login node does without.

    Args:
        what: the command or setting that needs it.
        extra: the extra's name.
        package: the first package that was missed.
    """

    def __init__(self, what: str, *, extra: str, package: str) -> None:
        super().__init__(
            f"{what} needs {package}, which is not installed: {sys.executable} -m pip install 'gsbatch[{extra}]'"
        )


class UsageError(AdvisorError):
    """The command line, a ``#GSBATCH`` line or a setting cannot be understood."""

    exit_status = 2


class ConfigurationError(UsageError):
    """A configuration file or described cluster has a mistake; the message names file, line and field."""


class ScriptError(AdvisorError):
    """The script to submit is missing, unreadable or not a script."""

    exit_status = 2


class SlurmError(AdvisorError):
    """Slurm could not be asked."""

    exit_status = 3


class SlurmNotFound(SlurmError):
    """A Slurm command is not on PATH."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"Slurm's command '{command}' is not on PATH.",
            hint="Load Slurm's module, or describe the cluster with --inventory FILE.",
        )
        self.command = command


class SlurmCommandFailed(SlurmError):
    """A Slurm command ended with an error or took too long.

    ``returncode`` is None where the command was ended by us after its time was up.
    """

    def __init__(self, command: str, returncode: int | None, stderr: str) -> None:
        how = "took too long" if returncode is None else f"failed with status {returncode}"
        said = stderr.strip().splitlines()
        asks_accounting = command.startswith("sacct")
        super().__init__(
            f"'{command}' {how}" + (f": {said[-1]}" if said else "."),
            hint="Is slurmdbd up? Try: sacctmgr ping" if asks_accounting else "Is slurmctld up? Try: scontrol ping",
        )
        self.command = command
        self.returncode = returncode
        self.stderr = stderr


class InventoryError(AdvisorError):
    """The cluster could not be read, or it offers no GPU that this user may use."""

    exit_status = 4


class InspectionError(AdvisorError):
    """The dry run of a training script could not be done."""

    exit_status = 5


class PredictionError(AdvisorError):
    """No prediction can be made."""

    exit_status = 6


class ImplausibleWorkload(PredictionError):
    """A workload fact is absurd, such as a batch size of 0 or a negative sample count."""


class ModelError(PredictionError):
    """A stored model is missing, altered, or written by another version."""


class RenderingError(AdvisorError):
    """A template is missing, broken, or asks for a value it was not given."""

    exit_status = 7


class TelemetryError(AdvisorError):
    """A trace or a ticket cannot be read."""

    exit_status = 8


class CorpusError(AdvisorError):
    """The corpus cannot be opened, is held by another writer, or is newer than this program."""

    exit_status = 9


class StorageError(AdvisorError):
    """A private folder or file cannot be used; ``reason`` says why without its path."""

    exit_status = 10

    def __init__(self, path: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path} cannot be used: {reason}.", hint=hint)
        self.path = path
        self.reason = reason
