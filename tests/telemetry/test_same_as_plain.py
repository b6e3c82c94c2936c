"""Under the recorder and without: the same output, errors and status, however Python starts and however it ends."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

RECORDER = [sys.executable, "-I", "-m", "advisor.telemetry.recorder"]
PY = shlex.quote(sys.executable)
# Shell commands in a folder with show.py (prints how it was started), a package, a module, a zip file and a virtual
# environment; $PY is the interpreter.
WAYS = [
    "$PY show.py",
    "$PY ./show.py a 'b c'",
    '$PY "$PWD/show.py"',
    "$PY link.py",
    "$PY -u show.py",
    "$PY -O show.py",
    "$PY -OO show.py",
    "$PY -B show.py",
    "$PY -E show.py",
    "$PY -I show.py",
    "$PY -s show.py",
    "$PY -P show.py",
    "$PY -v -c pass 2>/dev/null",
    "$PY -W error show.py",
    "$PY -X dev show.py",
    "$PY -X utf8 show.py",
    "$PY -X faulthandler show.py",
    "$PY -b -bb show.py",
    "$PY -q show.py",
    "$PY -R show.py",
    "$PY -d show.py",
    "$PY -i show.py </dev/null",
    "$PY -c 'import show'",
    "$PY -c 'print(__name__)'",
    "$PY -m show",
    "$PY -m package",
    "$PY -m package.part",
    "$PY -m json.tool </dev/null",
    "$PY -m timeit -n1 -r1 pass >/dev/null",
    "$PY -m runpy show",
    "$PY -m cProfile -o /dev/null show.py",
    "$PY -m trace --count -C counts --summary show.py | sed -n 1p",
    "$PY -m pdb -c continue show.py </dev/null | sed -n 1p",
    "$PY package",
    "$PY program.zip",
    "$PY < show.py",
    "cat show.py | $PY -",
    "cat show.py | $PY /dev/stdin",
    "$PY <<'END'\nimport sys\nprint(sys.argv, sys.path[1:])\nEND",
    "./show.py",
    "PATH=$PWD:$PATH show.py",
    "env $PY show.py",
    "env -i $PY show.py",
    "env -u PYTHONPATH $PY show.py",
    "PYTHONPATH=$PWD/package $PY show.py",
    "PYTHONPATH= $PY show.py",
    "PYTHONSTARTUP=show.py $PY show.py",
    "PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1 $PY show.py",
    "PYTHONSAFEPATH=1 $PY show.py",
    "PYTHONHASHSEED=0 $PY show.py",
    "PYTHONWARNINGS=error $PY show.py",
    "venv/bin/python show.py",
    ". venv/bin/activate && python show.py",
    "(exec $PY show.py)",
    "(exec -a other $PY show.py)",
    "nohup $PY show.py 2>/dev/null",
    "setsid -w $PY show.py",
    "nice -n 1 $PY show.py",
    "timeout 20 $PY show.py",
    "stdbuf -oL $PY show.py",
    "echo a b | xargs $PY show.py",
    "find . -maxdepth 1 -name show.py -exec $PY {} \\;",
    "$PY show.py & wait $!",
    "$PY show.py >(cat >/dev/null) | sed 's,/dev/fd/[0-9]*,FD,'",
    "perl -e 'exec @ARGV' $PY show.py",
    'bash -c "$PY show.py"',
    'bash -l -c "$PY show.py"',
    "sh -c 'exec \"$0\" show.py' $PY",
    "$PY spawn.py spawn",
    "$PY spawn.py fork",
    "$PY spawn.py forkserver",
    "$PY spawn.py subprocess",
    "$PY spawn.py exec",
    "$PY spawn.py pool",
]
SHOW = """\
#!{python}
import os, sys
print(__name__, __file__, sys.argv, sys.path, sys.flags, sys.warnoptions)
print(sorted(name for name in sys.modules if not name.startswith("gsbatch_inside")))
print(os.environ.get("PYTHONPATH", "").rpartition("advisor/injected")[2].lstrip(":"))
"""
SPAWN = """\
import multiprocessing, os, subprocess, sys
def work(number):
    return number + 1, __name__
if __name__ == "__main__":
    how = sys.argv[1]
    if how == "subprocess":
        print(subprocess.run([sys.executable, "show.py"], capture_output=True, text=True).stdout)
    elif how == "exec":
        os.execv(sys.executable, [sys.executable, "show.py"])
    elif how == "pool":
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2) as pool:
            print(list(pool.map(work, range(3))))
    else:
        with multiprocessing.get_context(how).Pool(2) as pool:
            print(pool.map(work, range(3)))
"""
# Runs every command that it is given on standard input; prints what each wrote and its status.
DRIVER = """
import json, os, subprocess, sys
results = []
for way in json.load(open("ways.json")):
    done = subprocess.run(["bash", "-c", way], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    results.append([way, done.returncode, done.stdout, done.stderr])
print(json.dumps(results))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the commands start."""
    (tmp_path / "show.py").write_text(SHOW.format(python=sys.executable), encoding="utf-8")
    (tmp_path / "show.py").chmod(0o755)
    (tmp_path / "spawn.py").write_text(SPAWN, encoding="utf-8")
    (tmp_path / "link.py").symlink_to("show.py")
    package = tmp_path / "package"
    package.mkdir()
    for name in ("__init__.py", "__main__.py", "part.py"):
        (package / name).write_text("import sys\nprint(__name__, __file__, sys.argv, sys.path)\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "program.zip", "w") as program:
        program.writestr("__main__.py", "import sys\nprint(__name__, __file__, sys.argv, sys.path)\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (tmp_path / "ways.json").write_text(json.dumps(WAYS), encoding="utf-8")
    return tmp_path


def test_python_starts_in_every_way_as_without_us(folder: Path) -> None:
    """Arguments, path, flags, modules, output and status: 57 ways were counted when they differed."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "PY": sys.executable}
    environment["PYTHONHASHSEED"] = "0"
    driver = [shutil.which("python3", path="/usr/bin") or sys.executable, "-I", "-c", DRIVER]

    def results(command: list[str]) -> list[list[object]]:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        found: list[list[object]] = json.loads(done.stdout)
        return found

    plain = results(driver)
    recorded = results([*RECORDER, "--spool", str(folder / "spool"), "--", *driver])

    # With -S nothing takes our folder off the path; it holds no name that a script could mean.
    assert 57 <= len(plain)
    assert [] == [(one, two) for one, two in zip(plain, recorded, strict=True) if one != two]


SHELL_ENDS = [
    f"exit {status}" for status in (0, 1, 2, 3, 42, 64, 100, 125, 126, 127, 128, 130, 143, 200, 254, 255, 256)
]
SIGNALS = ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "PIPE", "ALRM", "TERM"]
SIGNAL_ENDS = [f"ulimit -c 0; kill -{name} $$" for name in [*SIGNALS, "XCPU", "SYS", "RTMIN", "RTMAX"]]
PYTHON_ENDS = [
    f"{PY} -c {shlex.quote(code)}"
    for code in (
        "import sys; sys.exit()",
        "import sys; sys.exit(True)",
        "import sys; sys.exit(-1)",
        "import sys; sys.exit(300)",
        "import sys; sys.exit('the reason')",
        "import os; os._exit(7)",
        "1 / 0",
        "print(",
        "raise KeyboardInterrupt",
        "import os; os.abort()",
        "import os; os.close(1); print(1)",
        "import threading; threading.Thread(target=lambda: 1 / 0).start()",
        "import atexit; atexit.register(int, 'x')",
        "import os, sys; sys.stdout.write('x'); os._exit(0)",
        "import faulthandler; faulthandler._sigsegv()",
        "import no_such_module",
    )
]
COMMANDS = ["no-such-program", "./folder", "./not-executable", "./no-first-line", "./no-interpreter", "./empty"]


@pytest.mark.parametrize("command", [*SHELL_ENDS, *SIGNAL_ENDS, *PYTHON_ENDS])
def test_every_end_has_the_status_of_plain(tmp_path: Path, command: str) -> None:
    """128+n for signal n, as a shell says it; the output is the command's own."""
    _same(tmp_path, ["bash", "-c", command])


@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_started_has_the_shells_status(tmp_path: Path, command: str) -> None:
    """126 and 127, and a text without a first line is the shell's."""
    (tmp_path / "folder").mkdir()
    for name, text in (("not-executable", "#!/bin/sh\n"), ("no-first-line", "exit 9\n"), ("empty", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o644 if name == "not-executable" else 0o755)
    (tmp_path / "no-interpreter").write_text("#!/no/such/shell\n", encoding="utf-8")
    (tmp_path / "no-interpreter").chmod(0o755)
    plain = subprocess.run(["bash", "-c", f"exec {command}"], cwd=tmp_path, capture_output=True, check=False)
    recorded = subprocess.run(
        [*RECORDER, "--spool", str(tmp_path / "spool"), "--", command], cwd=tmp_path, capture_output=True, check=False
    )

    assert plain.returncode == recorded.returncode


def _same(folder: Path, command: list[str]) -> None:
    plain = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    recorder = [*RECORDER, "--spool", str(folder / "spool"), "--"]
    recorded = subprocess.run([*recorder, *command], cwd=folder, capture_output=True, text=True, check=False)
    status = plain.returncode if plain.returncode >= 0 else 128 - plain.returncode

    assert (status, plain.stdout) == (recorded.returncode, recorded.stdout)
    assert plain.stderr == recorded.stderr


def test_a_gigabyte_of_output_passes_untouched(tmp_path: Path) -> None:
    """It goes where it would go without us: no process of ours reads it, and none grows by it."""
    writing = "import sys\nfor _ in range(1024): sys.stdout.buffer.write(b'x' * 2**20)"
    recorder = [*RECORDER, "--spool", str(tmp_path / "spool"), "--", sys.executable, "-c", writing]
    with subprocess.Popen(recorder, stdout=subprocess.PIPE, cwd=tmp_path) as job:
        assert job.stdout is not None
        length = 0
        while piece := job.stdout.read(2**20):
            length += len(piece)

    assert (2**30, 0) == (length, job.returncode)
