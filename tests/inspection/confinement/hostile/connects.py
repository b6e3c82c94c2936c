import ctypes
import socket
import sys

opened = []
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16):  # 16: netlink
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        if ctypes.CDLL(None).socket(family, kind, 0) >= 0:
            opened.append((family, kind))
left, right = socket.socketpair()
left.send(b"x")
try:
    socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    opened.append("datagrams")
except OSError:
    pass
sys.exit(f"opened {opened}")
