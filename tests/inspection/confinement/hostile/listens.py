import socket
import sys
import urllib.request

with socket.socket() as finder:
    finder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    finder.bind(("", 0))
    port = finder.getsockname()[1]
own = socket.gethostbyname(socket.gethostname())
left, right = socket.socketpair()
left.sendall(b"x")
try:
    urllib.request.urlopen(f"http://127.0.0.1:{port}")
except OSError as exc:
    sys.exit(f"{own}:{port} {right.recv(1)} {exc}")
