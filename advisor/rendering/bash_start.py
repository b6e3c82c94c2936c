"""The environment in which bash starts a batch script under the recorder, whatever the script is.

Bash reads the file that BASH_ENV names before the first line of a script (bash(1), INVOCATION). So the user's own file
is what sbatch gets: its path is the job's command in Slurm, and every line has its number.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from advisor.rendering.recorder_command import RecorderCommand
from advisor.request.script import Script

_FILE = Path(__file__).parents[1] / "injected" / "start_recorder.sh"
# Options after which bash still reads BASH_ENV.
_OPTIONS = re.compile(r"-[aefhlmuvxBCEHT]+|--login|--noprofile|--norc")
_NOT_RECORDED = "the job is not recorded: the recorder does not run on this node"
# Read where the recorder does not run, from a file of the node's own, for a shared folder may hang.
_WITHOUT_RECORDER = (
    'rm -f -- "${BASH_SOURCE-}"; unset BASH_ENV GSBATCH_RECORDER; '
    f"echo 'gsbatch: {_NOT_RECORDED}' >&2; "
    'if [ -n "${GSBATCH_BASH_ENV-}" ]; then '
    'export BASH_ENV="$GSBATCH_BASH_ENV"; unset GSBATCH_BASH_ENV; . "$BASH_ENV"; fi'
)


def bash_start(script: Script, recorder: RecorderCommand, environment: Mapping[str, str]) -> dict[str, str] | None:
    """The variables to add to the job's environment; None where bash would not heed them.

    Args:
        script: any batch script.
        recorder: what the script shall run under.
        environment: what sbatch, and through it the job, inherits.
    """
    interpreter, *options = script.interpreter or ("",)
    own = environment.get("BASH_ENV", "")
    is_read = Path(interpreter).name == "bash" and all(map(_OPTIONS.fullmatch, options))
    if not is_read or "POSIXLY_CORRECT" in environment or re.search(r"[$`\\]", own):
        return None
    variables = {"BASH_ENV": _choice_of_file(recorder), "GSBATCH_RECORDER": shlex.join(recorder.arguments)}
    return {**variables, "GSBATCH_BASH_ENV": own} if own else variables


def _choice_of_file(recorder: RecorderCommand) -> str:
    """What bash expands to the name of the file to read.

    Other scripts with this environment, such as a site's TaskProlog, get what the user has set: slurmd gives the batch
    script its name.
    """
    with_recorder = f"if {shlex.join(recorder.check)} </dev/null; then echo {shlex.quote(str(_FILE))}"
    without = f'file=$(mktemp) && echo {shlex.quote(_WITHOUT_RECORDER)} >"$file" && echo "$file"'
    chosen = f"{with_recorder}; else {without}; fi"
    asked = 'read -r parent </proc/$PPID/comm; case "${SLURM_STEP_ID-} $parent $0" in'
    others = '(*) echo "${GSBATCH_BASH_ENV-}"'
    return f'$({{ {asked} (" slurmstepd"*/slurm_script) {chosen};; {others};; esac; }} 2>/dev/null)'
