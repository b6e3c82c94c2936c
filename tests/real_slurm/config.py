"""What the test cluster is: its nodes, partitions, accounts, and the configuration text that says so to Slurm."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

CLUSTER_NAME = "mini"
USERS = ("alice", "bob")
DRAINED_NODE = "r3070n2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One slurmd; sizes are what the node claims, not what the machine has."""

    name: str
    cpus: int
    memory_mib: int
    features: str = ""
    gpus: tuple[tuple[str, int], ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports of one cluster, all on the loopback address."""

    slurmctld: int
    slurmdbd: int
    slurmd: tuple[int, ...]


NODES = (
    Node(name="cpun1", cpus=32, memory_mib=64000),
    Node(name="g750", cpus=4, memory_mib=32000, features="maxwell,local", gpus=(("gtx_750_ti", 1),)),
    Node(name="r3070n1", cpus=8, memory_mib=32000, features="ampere,local", gpus=(("rtx_3070", 1),)),
    Node(name="r3070n2", cpus=8, memory_mib=32000, features="ampere,local", gpus=(("rtx_3070", 1),)),
    Node(
        name="c3090n1",
        cpus=16,
        memory_mib=128000,
        features="ampere,cloud",
        gpus=(("nvidia_geforce_rtx_3090", 4),),
        weight=5,
    ),
    Node(
        name="c3090n2",
        cpus=16,
        memory_mib=128000,
        features="ampere,cloud",
        gpus=(("nvidia_geforce_rtx_3090", 4),),
        weight=5,
    ),
    Node(
        name="a100n1",
        cpus=64,
        memory_mib=512000,
        features="ampere,nvlink",
        gpus=(("nvidia_a100-sxm4-80gb", 4), ("nvidia_a100-sxm4-80gb_1g.10gb", 7)),
    ),
    Node(name="h100n1", cpus=96, memory_mib=1024000, features="hopper", gpus=(("h100", 8),)),
)

PARTITIONS = """\
PartitionName=debug Nodes=cpun1 Default=YES MaxTime=00:30:00 DefMemPerCPU=1000
PartitionName=gtx Nodes=g750 MaxTime=1-00:00:00 DefMemPerGPU=8000
PartitionName=rtx Nodes=r3070n[1-2],c3090n[1-2] MaxTime=2-00:00:00 DefMemPerCPU=2000 MaxMemPerNode=120000
PartitionName=ampere Nodes=a100n1 MaxTime=3-00:00:00 TRESBillingWeights="CPU=1.0,Mem=0.25G,GRES/gpu=16.0"
PartitionName=hopper Nodes=h100n1 MaxTime=12:00:00 AllowAccounts=bigml DefMemPerCPU=8000
PartitionName=hidden Nodes=h100n1 MaxTime=01:00:00 Hidden=YES DefMemPerCPU=8000
PartitionName=down Nodes=g750 State=DOWN
"""

# The options of sacctmgr that make the accounts: alice may use both and charges bigml unless she says otherwise.
ACCOUNTING: tuple[tuple[str, ...], ...] = (
    (
        "add",
        "qos",
        "short",
        "set",
        "MaxWall=00:10:00",
        "MaxTRESPerUser=gres/gpu=2",
        "Flags=DenyOnLimit",
        "Priority=10",
    ),
    ("add", "account", "bigml", "Description=large models", "Organization=tests"),
    ("add", "account", "small", "Description=small models", "Organization=tests"),
    ("add", "user", "alice", "DefaultAccount=bigml", "Account=bigml,small", "QOS=normal,short", "DefaultQOS=normal"),
    ("add", "user", "bob", "DefaultAccount=small", "Account=small", "QOS=normal", "MaxTRES=gres/gpu=2"),
)

# Block of ports below the kernel's ephemeral range, so that no outgoing connection takes one meanwhile.
_PORT_FIRST, _PORT_LAST = 20000, 32000


def free_ports() -> Ports:
    """A block of free ports, started at a place that depends on the process, so that clusters rarely race.

    Raises:
        OSError: no free block on this machine.
    """
    count = len(NODES) + 2
    blocks = (_PORT_LAST - _PORT_FIRST) // count
    start = int.from_bytes(os.urandom(4), "big")
    for step in range(blocks):
        first = _PORT_FIRST + (start + step) % blocks * count
        if all(_is_free(port) for port in range(first, first + count)):
            return Ports(slurmctld=first, slurmdbd=first + 1, slurmd=tuple(range(first + 2, first + count)))
    raise OSError(f"no {count} free TCP ports in a row between {_PORT_FIRST} and {_PORT_LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def slurm_conf(folder: Path, ports: Ports) -> str:
    """Text of slurm.conf for a cluster whose files all lie in ``folder``."""
    host = socket.gethostname().split(".")[0]
    return f"""\
ClusterName={CLUSTER_NAME}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports.slurmctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits for its old credential to end: 120 s by default.
AuthInfo=socket={folder}/munge/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
ReturnToService=2
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2
GresTypes=gpu
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={ports.slurmdbd}
AccountingStoragePass={folder}/munge/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment,job_script
EnforcePartLimits=ALL
JobRequeue=1
KillWait=5
MinJobAge=300
MessageTimeout=30
SlurmdParameters=config_overrides
{_node_lines(host, ports)}
{PARTITIONS}"""


def _node_lines(host: str, ports: Ports) -> str:
    lines = []
    for node, port in zip(NODES, ports.slurmd, strict=True):
        line = f"NodeName={node.name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
        line += f" CPUs={node.cpus} RealMemory={node.memory_mib} Weight={node.weight}"
        if node.features:
            line += f" Feature={node.features}"
        if node.gpus:
            line += " Gres=" + ",".join(f"gpu:{gpu_type}:{count}" for gpu_type, count in node.gpus)
        lines.append(line)
    return "\n".join(lines)


def gres_conf(folder: Path) -> str:
    """Text of gres.conf: every GPU is a device file ``folder/dev/NODE/nvidiaN``."""
    lines = []
    for node in NODES:
        first = 0
        for gpu_type, count in node.gpus:
            last = first + count - 1
            span = f"[{first}-{last}]" if count > 1 else f"{first}"
            lines.append(f"NodeName={node.name} Name=gpu Type={gpu_type} File={folder}/dev/{node.name}/nvidia{span}")
            first += count
    return "\n".join(lines) + "\n"


def slurmdbd_conf(folder: Path, ports: Ports) -> str:
    """Text of slurmdbd.conf; the database is reached through MYSQL_UNIX_PORT, which Slurm has no option for."""
    return f"""\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports.slurmdbd}
SlurmUser=root
PidFile={folder}/run/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct
"""
