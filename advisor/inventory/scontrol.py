"""Answers of ``scontrol --oneliner show node | partition`` and ``scontrol show config`` to records. Pure functions.

Formats of Slurm 22.05 to 26.05; recorded answers are in tests/data/slurm/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from advisor.errors import InventoryError, UsageError
from advisor.inventory.gres import parse_gres
from advisor.inventory.records import ConfigRecord, NodeRecord, PartitionRecord
from advisor.units import MIB, duration_s_from_slurm

# A key starts a word and is followed by "=". Values may hold spaces (OS=, Reason=, Comment=), so a value runs to the
# next key; the keys whose values people write come last on their line, and are cut off first.
_KEY = re.compile(r"(?:^|\s)([A-Z][A-Za-z_:]*)=")
_FREE_TEXT = re.compile(r"\s(Reason|Comment|Extra|ResvName)=")
_SLURM_NOTHING = frozenset({"", "(null)", "N/A", "n/a", "NONE", "None", "UNLIMITED", "INFINITE"})
_REASON_SIGNATURE = re.compile(r"\s*\[[^\]]*@[^\]]*\]\s*$")


def parse_nodes(text: str) -> tuple[NodeRecord, ...]:
    """Read ``scontrol --details --oneliner show node``; without details the use of GPUs is not told.

    Raises:
        InventoryError: a line is not a node.
    """
    return tuple(_node(values) for values in _records(text, "NodeName"))


def parse_partitions(text: str) -> tuple[PartitionRecord, ...]:
    """Read ``scontrol --oneliner show partition``.

    Raises:
        InventoryError: a line is not a partition.
    """
    return tuple(_partition(values) for values in _records(text, "PartitionName"))


def parse_config(text: str) -> ConfigRecord:
    """Read ``scontrol show config``; what is not there stays unset."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values[key.strip()] = value.strip()
    enforce = values.get("AccountingStorageEnforce", "none").lower()
    return ConfigRecord(
        cluster_name=values.get("ClusterName") or "cluster",
        slurm_version=values.get("SLURM_VERSION"),
        has_accounting=values.get("AccountingStorageType", "").endswith("slurmdbd"),
        enforce=() if enforce == "none" else tuple(sorted(enforce.split(","))),
        default_memory_per_node_bytes=_mebibytes(values.get("DefMemPerNode")),
        default_memory_per_cpu_bytes=_mebibytes(values.get("DefMemPerCPU")),
        max_memory_per_node_bytes=_mebibytes(values.get("MaxMemPerNode")),
        max_memory_per_cpu_bytes=_mebibytes(values.get("MaxMemPerCPU")),
    )


def _records(text: str, first_key: str) -> Iterator[dict[str, str]]:
    for line in text.splitlines():
        if not line.strip() or line.startswith("No "):
            continue
        if not line.startswith(f"{first_key}="):
            raise InventoryError(
                f"scontrol's answer is not understood: '{line[:60]}' where {first_key}= was expected.",
                hint="Please report this with the output of: scontrol --version",
            )
        yield _key_values(line)


def _key_values(line: str) -> dict[str, str]:
    free = _FREE_TEXT.search(line)
    head = len(line) if free is None else free.start()
    return _values_between(line[:head], _KEY) | _values_between(line[head:], _FREE_TEXT)


def _values_between(text: str, key_pattern: re.Pattern[str]) -> dict[str, str]:
    keys = list(key_pattern.finditer(text))
    ends = [*(key.start() for key in keys[1:]), len(text)]
    return {key[1]: text[key.end() : end].strip() for key, end in zip(keys, ends, strict=False)}


def _node(values: dict[str, str]) -> NodeRecord:
    name = values["NodeName"]
    cpus = _number(values.get("CPUEfctv") or values.get("CPUTot", ""), f"node {name}, CPUTot")
    gres = parse_gres(values.get("Gres", ""))
    memory_mib = _number(values.get("RealMemory", ""), f"node {name}, RealMemory")
    return NodeRecord(
        name=name,
        cpus=cpus,
        memory_bytes=(memory_mib - int(_set(values.get("MemSpecLimit")) or 0)) * MIB,
        gres=gres,
        gres_used=parse_gres(values["GresUsed"]) if "GresUsed" in values else None if gres else (),
        features=_words(values.get("ActiveFeatures")) or (),
        partitions=_words(values.get("Partitions")) or (),
        state=tuple(re.split(r"[+]", values.get("State", "UNKNOWN").upper())),
        reason=_reason(values.get("Reason")),
        slurm_version=_set(values.get("Version")),
    )


def _reason(text: str | None) -> str | None:
    """What the administrator wrote, without Slurm's ``[user@time]``."""
    return _REASON_SIGNATURE.sub("", text or "").strip() or None


def _partition(values: dict[str, str]) -> PartitionRecord:
    defaults = _job_defaults(values.get("JobDefaults"))
    memory_per_gpu = defaults.get("defmempergpu")
    cpus_per_gpu = defaults.get("defcpupergpu")
    return PartitionRecord(
        name=values["PartitionName"],
        state=values.get("State", "UP").upper(),
        is_default=_yes(values.get("Default")),
        hidden=_yes(values.get("Hidden")),
        root_only=_yes(values.get("RootOnly")),
        needs_reservation=_yes(values.get("ReqResv")),
        allow_accounts=_allowed(values.get("AllowAccounts")),
        deny_accounts=_words(values.get("DenyAccounts")) or (),
        allow_groups=_allowed(values.get("AllowGroups")),
        allow_qos=_allowed(values.get("AllowQos")),
        deny_qos=_words(values.get("DenyQos")) or (),
        qos=_set(values.get("QoS")),
        max_time_s=_time(values.get("MaxTime")),
        default_time_s=_time(values.get("DefaultTime")),
        min_nodes=int(_set(values.get("MinNodes")) or 0),
        max_nodes=_count(values.get("MaxNodes")),
        max_cpus_per_node=_count(values.get("MaxCPUsPerNode")),
        max_memory_per_node_bytes=_mebibytes(values.get("MaxMemPerNode")),
        max_memory_per_cpu_bytes=_mebibytes(values.get("MaxMemPerCPU")),
        default_memory_per_node_bytes=_mebibytes(values.get("DefMemPerNode")),
        default_memory_per_cpu_bytes=_mebibytes(values.get("DefMemPerCPU")),
        default_memory_per_gpu_bytes=None if memory_per_gpu is None else int(memory_per_gpu) * MIB,
        default_cpus_per_gpu=None if cpus_per_gpu is None else int(cpus_per_gpu),
        billing_weights=billing_weights(values.get("TRESBillingWeights")),
    )


def billing_weights(text: str | None) -> tuple[tuple[str, float], ...]:
    """Read ``CPU=1.0,Mem=0.25G,GRES/gpu=16.0``; a suffix is the unit that is billed: memory weights are per GiB."""
    weights = []
    for item in (_set(text) or "").split(","):
        tres, _, number = item.rpartition("=")
        match = re.fullmatch(r"([\d.]+)([KMGT]?)", number, re.IGNORECASE)
        if tres and match is not None:
            per_gib = {"K": 1024.0**2, "M": 1024.0, "": 1024.0, "G": 1.0, "T": 1 / 1024}[match[2].upper()]
            weights.append((tres.lower(), float(match[1]) * (per_gib if tres.lower() == "mem" else 1.0)))
    return tuple(weights)


def _job_defaults(text: str | None) -> dict[str, str]:
    pairs = (item.partition("=") for item in (_set(text) or "").split(","))
    return {key.strip().lower(): value for key, _, value in pairs if value.isdigit()}


def _set(text: str | None) -> str | None:
    return None if text is None or text in _SLURM_NOTHING else text


def _words(text: str | None) -> tuple[str, ...] | None:
    value = _set(text)
    return None if value is None else tuple(word for word in value.split(",") if word)


def _allowed(text: str | None) -> tuple[str, ...] | None:
    return None if text is not None and text.upper() == "ALL" else _words(text)


def _yes(text: str | None) -> bool:
    return (text or "").upper() == "YES"


def _count(text: str | None) -> int | None:
    value = _set(text)
    return int(value) if value is not None and value.isdigit() else None


def _number(text: str, what: str) -> int:
    if not text.isdigit():
        raise InventoryError(f"scontrol's answer is not understood: {what}={text!r} is not a number.")
    return int(text)


def _mebibytes(text: str | None) -> int | None:
    """Memory limits are written in MiB; 0 is Slurm's other way to say that there is none."""
    count = _count((text or "").removesuffix("M"))
    return count * MIB if count else None


def _time(text: str | None) -> float | None:
    value = _set(text)
    if value is None:
        return None
    try:
        return duration_s_from_slurm(value)
    except UsageError as exc:
        raise InventoryError(f"scontrol's answer is not understood: {exc}") from exc
