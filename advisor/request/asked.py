"""What the user fixed with sbatch options: command line before ``SBATCH_*`` before ``#SBATCH``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf

from advisor.errors import UsageError
from advisor.request.node_selection import is_plain_constraint, listed
from advisor.request.placement_request import Request
from advisor.request.sbatch_options import Option
from advisor.units import duration_s_from_slurm, memory_bytes_from_slurm

# sbatch(1), INPUT ENVIRONMENT VARIABLES; only those that bear on where a job may run or what it is called.
_VARIABLES = {
    "SBATCH_ACCOUNT": "account", "SBATCH_CLUSTERS": "clusters", "SLURM_CLUSTERS": "clusters",
    "SBATCH_CLUSTER_CONSTRAINT": "cluster-constraint", "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_CORE_SPEC": "core-spec", "SBATCH_CPUS_PER_GPU": "cpus-per-gpu", "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_EXPORT": "export",
    "SBATCH_GPUS": "gpus", "SBATCH_GPUS_PER_NODE": "gpus-per-node", "SBATCH_GPUS_PER_SOCKET": "gpus-per-socket",
    "SBATCH_GPUS_PER_TASK": "gpus-per-task", "SBATCH_GRES": "gres", "SBATCH_MEM_PER_CPU": "mem-per-cpu",
    "SBATCH_MEM_PER_GPU": "mem-per-gpu", "SBATCH_MEM_PER_NODE": "mem", "SBATCH_OVERCOMMIT": "overcommit",
    "SBATCH_PARTITION": "partition", "SBATCH_QOS": "qos", "SBATCH_RESERVATION": "reservation",
    "SBATCH_THREADS_PER_CORE": "threads-per-core", "SBATCH_TIMELIMIT": "time",
    "SBATCH_TRES_PER_TASK": "tres-per-task",
}  # fmt: skip
_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
_GPUS = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket", "ntasks-per-gpu", "ntasks-per-tres")
_CPUS = (
    "cpus-per-task", "cpus-per-gpu", "ntasks", "ntasks-per-node", "ntasks-per-core", "ntasks-per-socket",
    "ntasks-per-gpu", "mincpus", "exclusive", "extra-node-info", "sockets-per-node", "cores-per-socket",
    "threads-per-core", "core-spec", "thread-spec", "overcommit", "tres-per-task",
)  # fmt: skip
# Options that tie a job to nodes or limits which the inventory does not hold: nothing is picked beside them.
_TIED = ("nodefile", "reservation", "clusters", "cluster-constraint", "resources", "segment", "external")
_COUNT = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The user's own sbatch options, merged, and what they leave open.

    ``options`` maps a long option's name to its value in the layer that wins. ``open_*`` say what a pick may fill.
    ``tied_by`` names the option that forbids every pick, None where none does.
    """

    options: Mapping[str, str | None]
    request: Request
    open_partition: bool
    open_gpus: bool
    open_memory: bool
    open_cpus: bool
    open_time: bool
    open_nodes: bool
    tied_by: str | None

    def on_cluster(self, name: str) -> Asked:
        """The same where the advice is for the cluster of that name: to name that one ties the job to nothing else."""
        if self.tied_by != "--clusters" or self.options.get("clusters") != name:
            return self
        others = {option: value for option, value in self.options.items() if option != "clusters"}
        return replace(self, tied_by=_tied_by(others))

    @property
    def exports_environment(self) -> bool:
        """Whether the job inherits the environment of sbatch, as it does unless ``--export`` says otherwise."""
        if "export-file" in self.options:
            return False
        export = self.options.get("export")
        return export is None or "ALL" in export.upper().split(",")


def read_asked(command_line: Iterable[Option], environment: Mapping[str, str], directives: Iterable[Option]) -> Asked:
    """Merge the three layers by sbatch's precedence.

    Raises:
        UsageError: a value is not what Slurm writes; sbatch will refuse it with its own message.
    """
    in_environment = [Option(name, environment[key]) for key, name in _VARIABLES.items() if key in environment]
    options: dict[str, str | None] = {}
    for layer in (directives, in_environment, command_line):  # weakest first
        named = {option.name: option.value for option in layer}
        if any(name in named for name in _MEMORY):  # the three forms exclude one another, across layers too
            options = {name: value for name, value in options.items() if name not in _MEMORY}
        options.update(named)
    return Asked(
        options=options,
        request=_request(options),
        open_partition="partition" not in options,
        open_gpus=not any(name in options for name in _GPUS) and "gpu" not in (options.get("tres-per-task") or ""),
        open_memory=not any(name in options for name in _MEMORY),
        open_cpus=not any(name in options for name in _CPUS),
        open_time="time" not in options and "time-min" not in options,
        open_nodes="nodes" not in options and "nodelist" not in options,
        tied_by=_tied_by(options),
    )


def _tied_by(options: Mapping[str, str | None]) -> str | None:
    """The option that places the job where the inventory cannot follow, or says that it needs no GPU."""
    for name in _TIED:
        if name in options:
            return f"--{name}"
    if "/" in (options.get("nodelist") or ""):  # a file with the names
        return "--nodelist"
    constraint, exclude = options.get("constraint"), options.get("exclude")
    if constraint and not is_plain_constraint(constraint):
        return "--constraint"
    if exclude and "/" in exclude:  # a file with the names
        return "--exclude"
    gres = options.get("gres")
    if gres is not None and not any(_is_gpu(part) for part in gres.split(",")):
        return "--gres"
    return next((f"--{name}" for name in _GPUS if _names_no_one_gpu(name, options.get(name))), None)


def _names_no_one_gpu(name: str, asked: str | None) -> bool:
    """Whether an option asks for no GPU, or for several types at once: no placement has that."""
    parts = [part for part in (asked or "").split(",") if part]
    if name == "gres":
        parts = [part for part in parts if _is_gpu(part)]
    types = {_gpu_type(part) for part in parts if _gpu_count(part)}
    return bool(parts) and len(types) != 1


def _request(options: Mapping[str, str | None]) -> Request:
    nodelist = options.get("nodelist") or None
    nodes = _first_count(options.get("nodes"))
    if nodelist is not None and listed(nodelist) > (nodes or 1):
        nodes = listed(nodelist)  # all of them are part of the job
    tasks = _first_count(options.get("ntasks"))
    per_node = _first_count(options.get("ntasks-per-node"))
    if tasks is None and per_node is not None:
        tasks = per_node * (nodes or 1)
    gpus, gpu_type = _gpus(options, nodes or 1, tasks or 1)
    per_task = _first_count(options.get("cpus-per-task"))
    per_gpu = _first_count(options.get("cpus-per-gpu"))
    cpus = None
    if per_gpu is None and (per_task is not None or tasks is not None):
        cpus = (per_task or 1) * -(-(tasks or 1) // (nodes or 1))
    partition = options.get("partition")
    memory = {name: memory_bytes_from_slurm(value) for name in _MEMORY if (value := options.get(name))}
    return Request(
        partitions=tuple(partition.split(",")) if partition else None,
        gpus=gpus,
        gpu_type=gpu_type,
        memory_bytes=memory.get("mem") or None,
        memory_per_cpu_bytes=memory.get("mem-per-cpu") or None,
        memory_per_gpu_bytes=memory.get("mem-per-gpu") or None,
        whole_memory=0 in memory.values(),
        time_s=_time_s(options.get("time")),
        nodes=nodes,
        cpus=cpus,
        cpus_per_gpu=per_gpu,
        account=options.get("account"),
        qos=options.get("qos"),
        constraint=options.get("constraint"),
        exclude=options.get("exclude"),
        nodelist=nodelist,
        whole_nodes="exclusive" in options and not options["exclusive"],
    )


def _time_s(limit: str | None) -> float | None:
    """Seconds; infinite where no limit is asked for, which is ``UNLIMITED`` or 0 (sbatch(1), ``--time``)."""
    return (duration_s_from_slurm(limit) or inf) if limit else None


def _gpus(options: Mapping[str, str | None], nodes: int, tasks: int) -> tuple[int | None, str | None]:
    """GPUs in all, and their type where one is named; (None, None) where no GPU is asked for."""
    forms = (
        ("gpus", 1),
        ("gpus-per-node", nodes),
        ("gres", nodes),
        ("gpus-per-task", tasks),
        ("tres-per-task", tasks),
        ("gpus-per-socket", nodes),
    )
    for name, factor in forms:
        parts = [part for part in (options.get(name) or "").split(",") if part]
        if name in {"gres", "tres-per-task"}:
            parts = [part for part in parts if _is_gpu(part)]
        if parts:
            types = {found for part in parts if (found := _gpu_type(part)) is not None}
            return sum(_gpu_count(part) for part in parts) * factor, types.pop() if len(types) == 1 else None
    return None, None


def _is_gpu(part: str) -> bool:
    return re.split("[:=]", part.removeprefix("gres/").removeprefix("gres:"))[0] == "gpu"


def _fields(part: str) -> list[str]:
    """``gres/gpu:a100:2``, ``gpu:a100=2``, ``a100:2`` and ``2`` without the parts that only say "GPU"."""
    part = re.sub(r"\(.*?\)", "", part).removeprefix("gres/").removeprefix("gres:")
    return [piece for piece in re.split("[:=]", part) if piece and piece != "gpu"]


def _gpu_count(part: str) -> int:
    fields = _fields(part)
    return int(fields[-1]) if fields and _COUNT.fullmatch(fields[-1]) else 1


def _gpu_type(part: str) -> str | None:
    fields = _fields(part)
    return fields[0] if fields and not _COUNT.fullmatch(fields[0]) else None


def _first_count(text: str | None) -> int | None:
    """The smallest count that ``2``, ``2-4`` or ``2,4`` allows."""
    if not text:
        return None
    match = _COUNT.match(text)
    if match is None:
        raise UsageError(f"'{text}' is not a count.")
    return int(match[0])
