"""Tasks that ``srun`` starts: each names itself to the sampler of its node, and where the node has none starts one.

The recorder runs on the node of the batch script. A task there is not its descendant, and other nodes have no recorder.
"""

import array
import atexit
import json
import os
import re
import select
import shutil
import socket

# How long a task that ends may wait for its node's trace, on a slow file system: Slurm kills what a step leaves behind.
_ANSWER_S = 5.0
# Many tasks begin at once, and a socket's queue may hold ten messages until the sampler has started.
_ROOM_S = 1.0
# Where TMPDIR is full, or another node's; the second is memory.
_TEMPORARY = ("/tmp", "/dev/shm")  # noqa: S108 (a folder 0700 is made there)
# PYTHON -I -m MODULE; its options follow, and last the command that the job runs.
_PROGRAM_WORDS = 4


def marks_of_this_task(path, node, step):
    """The socket to mark epochs on: ``path``, the recorder's, or on another node that of the node's own sampler."""
    is_elsewhere = os.environ["GSBATCH_PLACE"].partition("/")[0] != node
    os.environ["GSBATCH_PLACE"] = node + "/" + step
    if is_elsewhere:
        path = os.environ["GSBATCH_MARKS"] = _socket_of_this_node(node, step)
    try:
        _tell(path, "task_begin")
    except OSError:
        pass  # its memory is not counted; its epochs may be
    if is_elsewhere:
        atexit.register(_leave, path, os.getpid())
    return path


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
    words = json.loads(os.environ["GSBATCH_SAMPLER"])
    if not os.access(words[0], os.X_OK):
        raise OSError("advisor's Python is not on this node")
    made = os.path.join(os.path.dirname(folder), "gsbatch-" + os.urandom(8).hex())
    os.mkdir(made, 0o700)
    marks = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        try:
            marks.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            marks.bind(os.path.join(made, "marks"))
            os.rename(made, folder)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if os.path.isdir(folder):
                return  # another task was faster
            raise
        tasks = _tasks_on(os.environ.get("SLURM_STEP_TASKS_PER_NODE", "1"), node_rank)
        facts = ["--marks", str(marks.fileno()), "--folder", folder, "--tasks", str(tasks)]
        marks.set_inheritable(True)
        _start_detached(words[:_PROGRAM_WORDS] + facts + words[_PROGRAM_WORDS:])
    finally:
        marks.close()


def _start_detached(words):
    """Not our child: a training that waits for all its children must not wait for this one."""
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)]
    shell = ["/bin/sh", "-c", '"$@" &', "sh"]
    os.waitpid(os.posix_spawn(shell[0], shell + words, os.environ, file_actions=nothing), 0)


def _tasks_on(text, node_rank):
    """Tasks of the step on one of its nodes: ``2(x3),1`` means two on the first three nodes, one on the fourth."""
    for count, nodes in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        node_rank -= int(nodes or 1)
        if node_rank < 0:
            return int(count)
    return 1


def _tell(path, kind, descriptors=()):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(_ROOM_S)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        sender.sendmsg([json.dumps({"kind": kind}).encode()], rights, 0, path)


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
        select.select([answer], [], [], _ANSWER_S)
    except OSError:
        return  # the sampler has ended
