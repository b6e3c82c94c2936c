"""The text of ``gsbatch --help``, and its options one by one, for completion and the manual page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

HELP = """\
Usage: gsbatch [sbatch options] [gsbatch options] SCRIPT [script arguments]
       gsbatch [sbatch options] [gsbatch options] --wrap COMMAND
       gsbatch [sbatch options] [gsbatch options] < SCRIPT

Submit a training with sbatch, on the placement that costs least, and measure it while it runs.
SCRIPT is a Python file, or a batch script with its own #SBATCH lines. Every sbatch option works as before; what you
set (command line, SBATCH_* variables, #SBATCH lines) stands, and advice fills only what you left open.

gsbatch options (before SCRIPT):
  --advise               print the recommendation, submit nothing
  --methods              beside the recommendation, what other estimators say: the paper's regressors, Green Algorithms,
                         MLCO2, the board's limit
  --explain-workload     print every fact that is known of the training, from where, and how to know it better
  --json                 print the recommendation as JSON on stdout, submit nothing; with --explain-workload the facts
  --print-script         print the batch script on stdout, submit nothing
  --local                run the written script on this machine, without Slurm: record, ingest, report
  --objective WHAT       rank by energy, time, edp, carbon or cost (energy)
  --set NAME=VALUE       a fact about the training, such as epochs=50; repeatable, wins over everything found
  --inventory FILE       a described cluster (TOML) in place of Slurm's answers
  --energy-budget ENERGY stop the training after the epoch that passes this energy, such as 2MJ or 0.5kWh
  --budget-on WHICH      spent (default), or projected: as soon as the run will surely pass it
  --budget-signal NAME   sent to a loop of your own, at an epoch's end, in place of a framework's stop: USR1, ...
  --min-gain GAIN[:METRIC[:EPOCHS]]
                         stop when the last EPOCHS (3) gained less of METRIC (the loss) for each kJ
  --probe[=fresh|job]    dry-run the script even where the kernel cannot confine it; fresh: even if nothing changed;
                         job: not here, but in the job, beside the training
  --no-probe             do not dry-run the script; its source and --set have to do
  --no-record            do not measure the job
  -h, --help             this text; sbatch's own options: sbatch --help
  -V, --version          gsbatch's version, then sbatch's

#GSBATCH --set epochs=50 lines in a script are read like #SBATCH lines. Settings come from the command line, GSBATCH_*
variables, #GSBATCH lines, ~/.config/gsbatch/config.toml and /etc/gsbatch/config.toml; see: gsadmin doctor

Examples:
  gsbatch train.py --epochs 50                      advise, write, submit
  gsbatch --advise --set batch_size=64 train.py     advise only
  gsbatch --explain-workload job.sh                 what is known of the training that job.sh starts
  gsbatch -p ampere --mem=32G --time=4:00:00 job.sh what you say stands
  gsbatch --inventory cluster.toml --local train.py no Slurm needed

stdout and exit status are sbatch's; advice goes to stderr. When nothing was submitted, exit status is 2 for a wrong
command line, script or setting, 3 where Slurm cannot be asked, 4 for an inventory without a usable GPU, 5 to 9 for
other failures (docs/cli.md). When advice fails, the job is submitted as sbatch would have, and one line says so.
"""

_OPTION = re.compile(
    r"^  (?:-(?P<short>\w), )?(?P<long>--[\w-]+)"  # -h, --help
    r"(?P<value>(?:[ =\[]\S+)?)"  # ENERGY, or [=fresh|job]
    r"(?:  +(?P<help>\S.*)| (?P<tight>[a-z].*))?$"
)
_MORE = re.compile(r"^ {10,}(?P<help>\S.*)$")


class OptionLine(NamedTuple):
    """One option of the help: ``value`` is what follows it, None where nothing does."""

    short: str | None
    long: str
    value: str | None
    help: str

    @property
    def is_value_optional(self) -> bool:
        """Whether the value may be left out, and else stands behind ``=``."""
        return self.value is not None and self.value.startswith("[")


def option_lines() -> Iterator[OptionLine]:
    """The options of gsbatch in the order of the help."""
    found: list[OptionLine] = []
    for line in HELP.splitlines():
        option, more = _OPTION.match(line), _MORE.match(line)
        if option:
            text = option["help"] or option["tight"] or ""
            found.append(OptionLine(option["short"], option["long"], option["value"].strip() or None, text))
        elif more and found:
            last = found[-1]
            found[-1] = last._replace(help=f"{last.help} {more['help']}".strip())
    yield from found
