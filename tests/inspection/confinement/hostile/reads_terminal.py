import sys

text = sys.stdin.read()
try:
    open("/dev/tty")
except OSError:
    sys.exit(f"no terminal {text!r}")
