import sys
import tempfile

try:
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(64):
            file.write(b"x" * (1 << 20))
except OSError as exc:
    sys.exit(exc.strerror)
