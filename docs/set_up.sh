#!/usr/bin/env bash
# Make .venv in the checkout with exactly the locked versions and this checkout installed in it.
# Used by docs/examples/try.sh and tests/run.sh; safe to run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The system's Python before any other: on a shared machine it is the one that every user can execute.
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "set_up: $python is not on PATH; install Python 3.10 or newer." >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "set_up: $("$python" --version) is too old; point PYTHON at Python 3.10 or newer." >&2; exit 1; }

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    # Debian and Ubuntu ship venv in a package of its own.
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
        echo "set_up: python3-venv is missing; run: sudo apt-get install python3-venv" >&2; exit 1; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv
fi

stamp=.venv/.locked
want=$( (command -v "$python"; cat requirements.lock pyproject.toml) | sha256sum)
if [ ! -x .venv/bin/gsbatch ] || [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
    echo "set_up: installing the locked versions into .venv (a few minutes the first time)" >&2
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
    echo "$want" > "$stamp"
fi
