"""Skip torch's import of its compiler, which takes seconds and only marks torch's own functions as not to compile."""

from typing import Any

from ...dry_run.session import DryRun


def attach(module: Any, session: DryRun) -> None:
    """Leave them alone at once."""

    def leave_alone(function: Any = None, recursive: bool = True) -> Any:
        return leave_alone if function is None else function

    module._disable_dynamo = leave_alone
