import ctypes
import sys
import tempfile

libc = ctypes.CDLL(None)
libc.chdir(tempfile.gettempdir().encode())
for _ in range(1000):
    libc.mkdir(b"closed", 0o300)
    libc.chdir(b"closed")
sys.exit("deep")
