import ctypes
import os
import signal
import sys

libc = ctypes.CDLL(None)
# A signal that nobody minds: were it let through, nothing would end.
answers = [libc.kill(pid, signal.SIGURG) for pid in (-1, 0, 1, os.getppid())]
sys.exit(f"{answers} {libc.kill(os.getpid(), 0)}")
