"""Tasks that ``srun`` starts: each names itself to the sampler of its node, and where the node has none starts one.

The recorder runs on the node of the batch script. A task there is not its descendant, and other nodes have no recorder.
Loaded when Python starts, before the script's folder is on the path: only modules are imported that are built into
Python or that no script is called after.
"""

import _socket
import atexit
import os
import sys
import time

# How long a task that ends may wait for its node's trace, on a slow file system: Slurm kills what a step leaves behind.
_ANSWER_S = 5.0
# Many tasks begin at once, and a socket's queue may hold ten messages until the sampler has started.
_ROOM_S = 1.0
# Where TMPDIR is full, or another node's; the second is memory.
_TEMPORARY = ("/tmp", "/dev/shm")  # noqa: S108 (a folder 0700 is made there)


def name_this_task(node, step):
    """Set the socket to mark epochs on: the recorder's, or on another node that of the node's own sampler."""
    is_elsewhere = os.environ["GSBATCH_PLACE"].partition("/")[0] != node
    os.environ["GSBATCH_PLACE"] = node + "/" + step
    if is_elsewhere:
        os.environ["GSBATCH_MARKS"] = _socket_of_this_node(node, step)
    path = os.environ["GSBATCH_MARKS"]
    try:
        _tell(path, "task_begin")
    except OSError:
        pass  # its memory is not counted; its epochs may be
    if is_elsewhere:
        atexit.register(_leave, path, os.getpid())


def _socket_of_this_node(node, step):
    """Where the step's sampler on this node listens; the first task to come here starts it."""
    facts = (os.getuid(), os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_RESTART_COUNT", "0"), step, node)
    for place in (os.environ.get("TMPDIR") or _TEMPORARY[0],) + _TEMPORARY:
        folder = os.path.join(place, "gsbatch-" + "-".join(map(str, facts)))
        try:
            if not os.path.isdir(folder):
                _start_sampler(folder, int(os.environ.get("SLURM_NODEID", "0")))
        except OSError:
            continue  # full, or not there
        if os.lstat(folder).st_uid == os.getuid():
            return os.path.join(folder, "marks")
    raise OSError("no folder for the sampler's socket")


def _start_sampler(folder, node_rank):
    """Start the sampler, unless another task is faster: the folder appears whole, with a socket that takes marks."""
    made = os.path.join(os.path.dirname(folder), "gsbatch-" + os.urandom(8).hex())
    os.mkdir(made, 0o700)
    marks = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        try:
            marks.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
            marks.bind(os.path.join(made, "marks"))
            os.rename(made, folder)
        except OSError:
            _remove(made)
            if os.path.isdir(folder):
                return  # another task was faster
            raise
        tasks = _tasks_on(os.environ.get("SLURM_STEP_TASKS_PER_NODE", "1"), node_rank)
        os.set_inheritable(marks.fileno(), True)
        _start_detached(["--marks", str(marks.fileno()), "--folder", folder, "--tasks", str(tasks)], folder)
    finally:
        marks.close()


def _start_detached(arguments, folder):
    """Not our child: a training that waits for all its children must not wait for this one."""
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)]
    shell = ["/bin/sh", "-c", os.environ["GSBATCH_SAMPLER"], "sh"]
    status = os.waitpid(os.posix_spawn(shell[0], shell + arguments, os.environ, file_actions=nothing), 0)[1]
    if status:
        _remove(folder)
        raise OSError("advisor's Python is not on this node")


def _remove(folder):
    for remove, path in ((os.unlink, os.path.join(folder, "marks")), (os.rmdir, folder)):
        try:
            remove(path)
        except OSError:
            continue


def _tasks_on(text, node_rank):
    """Tasks of the step on one of its nodes: ``2(x3),1`` means two on the first three nodes, one on the fourth."""
    for part in text.split(","):
        count, _, nodes = part.rstrip(")").partition("(x")
        if not count.isdigit():
            break
        node_rank -= int(nodes or 1)
        if node_rank < 0:
            return int(count)
    return 1


def _tell(path, kind, descriptors=()):
    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        sender.settimeout(_ROOM_S)
        data = b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in descriptors)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, data)] if descriptors else []
        sender.sendmsg(['{{"kind": "{}"}}'.format(kind).encode()], rights, 0, path)
    finally:
        sender.close()


def _leave(path, pid):
    """Let the sampler write what it has before Slurm ends it; it answers by closing the descriptor it is sent."""
    if os.getpid() != pid:
        return
    try:
        answer, question = os.pipe()
        try:
            _tell(path, "task_end", (question,))
        finally:
            os.close(question)
        _wait_for(answer)
    except OSError:
        return  # the sampler has ended


def _wait_for(answer):
    os.set_blocking(answer, False)
    until = time.monotonic() + _ANSWER_S
    pause_s = 0.001
    while time.monotonic() < until:
        try:
            os.read(answer, 1)
            return
        except BlockingIOError:
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.05)
