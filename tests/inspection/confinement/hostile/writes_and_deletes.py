import ctypes
import os
import shutil
import sys
from pathlib import Path

here = Path(__file__).parent
libc = ctypes.CDLL(None)
victim = bytes(here / "precious")
libc.unlink(victim)
libc.creat(bytes(here / "made"), 0o600)
libc.truncate(victim, 0)
libc.open(victim, os.O_RDONLY | os.O_TRUNC)
libc.rename(victim, bytes(here / "renamed"))
libc.symlink(b"/", bytes(here / "link"))
libc.chmod(victim, 0o777)
libc.utimes(victim, None)
os.chmod(here / "precious", 0o777)
os.utime(here / "precious", (0, 0))
shutil.rmtree(here / "folder")
(here / "made").write_text("x")
sys.exit("done")
