"""A whole Slurm on this machine: munge, MariaDB, slurmdbd, slurmctld and one slurmd for each node of config.py.

By hand, as root::

    python -m tests.real_slurm.cluster up --dir DIR      # prints the SLURM_CONF to export
    python -m tests.real_slurm.cluster run --dir DIR --user alice -- sbatch --wrap hostname
    python -m tests.real_slurm.cluster down --dir DIR

``run`` without a running cluster in DIR starts one and removes it afterwards.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.real_slurm import config, users
from tests.real_slurm.processes import Daemons

# A user's environment holds this and nothing of ours; the daemons live in sbin.
USER_PATH = "/usr/local/bin:/usr/bin:/bin"
DAEMON_PATH = f"/usr/local/sbin:/usr/sbin:/sbin:{USER_PATH}"
FINAL_STATES = frozenset(
    ["BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"]
)
# Harmless: Slurm lists plugins whose libraries Debian only suggests, and the nodes claim more than the machine has.
_LOG_NOISE = re.compile(r"pmix|Database settings not recommended|differs from hardware|CPU frequency setting")
_LOG_TAIL_LINES = 15


class ClusterError(Exception):
    """The cluster did not do what the tests need; the message ends with its logs."""


class Cluster:
    """One Slurm cluster whose every file lies in ``folder``, an absolute path that must be world-traversable.

    Several can run side by side. ``start`` and ``stop`` may run in different processes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slurm_conf = folder / "etc" / "slurm.conf"
        self._daemons = Daemons(folder)

    def start(self) -> None:
        """Bring everything up; on return every node that is not drained is idle.

        Raises:
            ClusterError: some part did not come up; what had been started is gone again.
        """
        if self.folder.exists() and any(self.folder.iterdir()):
            raise ClusterError(f"{self.folder} is not empty; a cluster needs a folder of its own")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pids").mkdir()
        try:
            self._lay_out()
            self._start_database()
            self.start_accounting()
            self.run(["sacctmgr", "--immediate", "--quiet", "add", "cluster", config.CLUSTER_NAME])  # or no slurmctld
            self.start_controller()
            # After the controller: only then does accounting know the resource gres/gpu.
            for command in config.ACCOUNTING:
                self.run(["sacctmgr", "--immediate", "--quiet", *command])
            for node in config.NODES:
                self._start_daemon(f"slurmd-{node.name}", ["slurmd", "-D", "-N", node.name, "-f", str(self.slurm_conf)])
            self._wait_for("the nodes to register", self._all_nodes_idle, 30)
            self.run(["scontrol", "update", f"nodename={config.DRAINED_NODE}", "state=drain", "reason=fan broken"])
        except (ClusterError, OSError, subprocess.SubprocessError) as error:
            logs = self.logs()
            self.stop()
            raise ClusterError(f"the test cluster did not start: {error}\n{logs}") from error

    def stop(self) -> None:
        """End every process of the cluster and remove its folder and the users made for it.

        Raises:
            ClusterError: the folder holds something else.
        """
        if not (self.folder / "pids").is_dir():
            raise ClusterError(f"{self.folder} does not hold a test cluster; nothing was removed")
        self._daemons.stop_all()
        if (self.folder / "home").exists():
            users.remove_users(config.USERS, self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        """Start slurmctld and wait until it answers."""
        self._start_daemon("slurmctld", ["slurmctld", "-D", "-f", str(self.slurm_conf)])
        self._wait_for("slurmctld to answer", lambda: "is UP" in self.run(["scontrol", "ping"], check=False).stdout, 20)

    def restart_controller(self) -> None:
        """Start slurmctld again after an outage and wait until it has heard of every node."""
        self.start_controller()
        self._wait_for("the nodes to register again", lambda: not self._node_states() & {"unknown", "unk"}, 60)

    def stop_controller(self) -> None:
        """End slurmctld as an outage would: every command of Slurm that asks it then fails; jobs go on."""
        self._daemons.stop("slurmctld")

    def start_accounting(self) -> None:
        """Start slurmdbd and wait until it answers."""
        environment = {"MYSQL_UNIX_PORT": f"{self.folder}/mysql/mysql.socket"}
        self._start_daemon("slurmdbd", ["slurmdbd", "-D"], environment)
        show = ["sacctmgr", "--noheader", "show", "cluster"]
        self._wait_for("slurmdbd to answer", lambda: self.run(show, check=False).returncode == 0, 20)

    def stop_accounting(self) -> None:
        """End slurmdbd as an outage would: sacct then fails; what happens to jobs is told it when it is back."""
        self._daemons.stop("slurmdbd")

    def is_running(self) -> bool:
        """Whether the controller runs."""
        return self._daemons.running("slurmctld") is not None

    def home(self, user: str) -> Path:
        """The user's home folder, inside the cluster's."""
        return self.folder / "home" / user

    def user_environment(self, user: str) -> dict[str, str]:
        """A fresh log-in's environment on this cluster."""
        return {
            "HOME": str(self.home(user)),
            "LANG": "C.UTF-8",
            "LOGNAME": user,
            "PATH": USER_PATH,
            "SHELL": "/bin/bash",
            "SLURM_CONF": str(self.slurm_conf),
            "USER": user,
        }

    def run_as(
        self,
        user: str,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the user, in ``cwd`` or at home; ``env`` is added to a fresh log-in's environment."""
        account = pwd.getpwnam(user)
        return subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd or self.home(user),
            env={**self.user_environment(user), **(env or {})},
            timeout=timeout_s,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            umask=0o022,
        )

    def run(self, argv: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of Slurm as root.

        Raises:
            ClusterError: the command failed and ``check`` is set.
        """
        environment = {"PATH": DAEMON_PATH, "HOME": "/root", "LANG": "C.UTF-8", "SLURM_CONF": str(self.slurm_conf)}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=120)
        if check and done.returncode != 0:
            raise ClusterError(f"{' '.join(argv)} exited {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def job_states(self, job_id: str) -> list[str]:
        """States in accounting of a job, an array's tasks one each, as single words."""
        argv = ["sacct", "--allocations", "--noheader", "--parsable2", "--format=State", f"--jobs={job_id}"]
        return [line.split()[0] for line in self.run(argv).stdout.splitlines() if line]

    def wait_for_job(self, job_id: str | int, timeout_s: float = 60.0) -> str:
        """Wait until accounting says that the job, or every task of an array, has ended.

        Returns:
            the final state, such as ``COMPLETED``; of an array whose tasks differ, all of theirs joined with commas.

        Raises:
            ClusterError: the job has not ended in time.
        """
        states: list[str] = []

        def ended() -> bool:
            # Accounting hears of an array's tasks one by one; the controller, when it is up, knows how many there are.
            listing = self.run(["scontrol", "--oneliner", "show", "job", str(job_id)], check=False).stdout
            known = re.findall(r"\bJobState=(\w+)", listing)
            states[:] = self.job_states(str(job_id))
            return bool(states) and len(known) <= len(states) and FINAL_STATES.issuperset([*known, *states])

        self._wait_for(f"job {job_id} to end", ended, timeout_s, lambda: f"; its states are {states}")
        return ",".join(sorted(set(states)))

    def logs(self) -> str:
        """The last lines of every log that has any, for a failed test's report."""
        parts = []
        for path in sorted((self.folder / "log").glob("*")):
            if path.suffix == ".out" and path.with_suffix(".log").exists():
                continue  # Slurm's daemons print what they log
            lines = path.read_text(errors="replace").splitlines()
            telling = [line for line in lines if not _LOG_NOISE.search(line)][-_LOG_TAIL_LINES:]
            if telling:
                parts.append("\n".join([f"--- {path.name}", *telling]))
        return "\n".join(parts)

    def _lay_out(self) -> None:
        """Make folders, keys, device files, configuration and users."""
        self.folder.chmod(0o755)
        for name in ("etc", "log", "run", "state", "spool", "munge", "mysql", "dev", "home", "scratch"):
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "mysql").chmod(0o700)
        key = self.folder / "etc" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        for node in config.NODES:
            (self.folder / "spool" / node.name).mkdir()
            (self.folder / "dev" / node.name).mkdir()
            for index in range(sum(count for _, count in node.gpus)):
                # c 1 3 is /dev/null's number: a device that is always there.
                os.mknod(self.folder / "dev" / node.name / f"nvidia{index}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        ports = config.free_ports()
        self.slurm_conf.write_text(config.slurm_conf(self.folder, ports))
        (self.slurm_conf.parent / "gres.conf").write_text(config.gres_conf(self.folder))
        if self._slurm_version() >= (23, 2):
            (self.slurm_conf.parent / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        slurmdbd_conf = self.slurm_conf.parent / "slurmdbd.conf"
        slurmdbd_conf.touch(mode=0o600)
        slurmdbd_conf.write_text(config.slurmdbd_conf(self.folder, ports))
        users.add_users(config.USERS, self.folder)

    def _slurm_version(self) -> tuple[int, ...]:
        """Slurm's release, such as (22, 5)."""
        word = self.run(["sbatch", "--version"]).stdout.split()[-1]
        return tuple(int(part) for part in word.split(".")[:2])

    def _start_database(self) -> None:
        """Start munge, and MariaDB on a socket only root can reach."""
        munge = self.folder / "munge"
        self._start_daemon(
            "munged",
            [
                "munged",
                "--foreground",
                f"--socket={munge}/munge.socket",
                f"--key-file={self.folder}/etc/munge.key",
                f"--pid-file={self.folder}/run/munged.pid",
                f"--log-file={self.folder}/log/munged.log",
                f"--seed-file={munge}/munge.seed",
            ],
        )
        # Nothing here outlives the cluster, so nothing is made safe against a crash.
        server = [
            "--no-defaults",
            "--user=root",
            f"--datadir={self.folder}/mysql",
            f"--tmpdir={self.folder}/scratch",
            "--innodb-buffer-pool-size=24M",
            "--innodb-log-file-size=4M",
            "--innodb-data-file-path=ibdata1:4M:autoextend",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            "--innodb-lock-wait-timeout=900",
            "--aria-pagecache-buffer-size=8M",
            "--key-buffer-size=1M",
        ]
        self.run(
            [
                "mariadb-install-db",
                *server,
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ]
        )
        socket_path = f"{self.folder}/mysql/mysql.socket"
        self._start_daemon(
            "mariadbd",
            [
                "mariadbd",
                *server,
                "--skip-networking",
                "--skip-grant-tables",
                f"--socket={socket_path}",
                f"--pid-file={self.folder}/run/mariadbd.pid",
            ],
        )
        ping = ["mariadb-admin", "--no-defaults", f"--socket={socket_path}", "ping"]
        self._wait_for("MariaDB to answer", lambda: self.run(ping, check=False).returncode == 0, 20)

    def _start_daemon(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        base = {"PATH": DAEMON_PATH, "LANG": "C.UTF-8", "SLURM_CONF": str(self.slurm_conf)}
        self._daemons.start(name, argv, {**base, **(environment or {})})

    def _node_states(self) -> set[str]:
        listing = self.run(["sinfo", "--noheader", "--all", "--Node", "--format=%N %T"], check=False).stdout
        states = dict(line.split() for line in listing.splitlines())
        return {state.rstrip("*") for state in states.values()} if len(states) >= len(config.NODES) else {"unknown"}

    def _all_nodes_idle(self) -> bool:
        return self._node_states() == {"idle"}

    @staticmethod
    def _wait_for(
        what: str, is_so: Callable[[], bool], timeout_s: float, state: Callable[[], str] = lambda: ""
    ) -> None:
        """Ask until it is so; Slurm has no way to be told, so this polls."""
        deadline_s = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline_s:
                raise ClusterError(f"waited {timeout_s:g} s for {what}{state()}")
            time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m tests.real_slurm.cluster", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("up", "down", "run"))
    parser.add_argument("--dir", type=Path, required=True, help="the cluster's own folder; made by up, removed by down")
    parser.add_argument("--user", choices=config.USERS, help="whom run starts the command as (default: root)")
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:split])
    command = words[split + 1 :]
    if (options.action == "run") != bool(command):
        parser.error("run, and only run, takes a command after --")
    cluster = Cluster(options.dir.absolute())
    try:
        if options.action == "up":
            cluster.start()
            sys.stdout.write(f"export SLURM_CONF={cluster.slurm_conf}\n")
        elif options.action == "down":
            cluster.stop()
        else:
            return _run(cluster, options.user, command)
    except ClusterError as error:
        sys.stderr.write(f"cluster: {error}\n")
        return 1
    return 0


def _run(cluster: Cluster, user: str | None, argv: Sequence[str]) -> int:
    """Run a command on the terminal, in a cluster that runs or in one made for it."""
    ours = not cluster.is_running()
    if ours:
        cluster.start()
    try:
        if user is None:
            environment = {**os.environ, "SLURM_CONF": str(cluster.slurm_conf)}
            return subprocess.run(argv, check=False, env=environment).returncode
        account = pwd.getpwnam(user)
        return subprocess.run(
            argv,
            check=False,
            cwd=cluster.home(user),
            env=cluster.user_environment(user),
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
        ).returncode
    finally:
        if ours:
            cluster.stop()


if __name__ == "__main__":
    sys.exit(main())
