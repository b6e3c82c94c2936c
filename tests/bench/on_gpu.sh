#!/usr/bin/env bash
# What a card alone can show, in one call of at most 9 minutes; see on_gpu.py.
#
#     bash tests/bench/on_gpu.sh OUT [--replay tests/data/gpu_readings/one_gpu_steady.jsonl] [--limit 520]
#
# Python is $PYTHON, else this checkout's .venv, else python3. PyTorch is taken from $TORCH_PYTHON, else from that Python,
# else from .venv-frameworks.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }

python=${PYTHON:-}
if [ -z "$python" ]; then
    if [ -x "$root/.venv/bin/python" ]; then python=$root/.venv/bin/python; else python=python3; fi
fi
has_torch() { "$1" -c 'import torch' 2>/dev/null; }
torch_python=${TORCH_PYTHON:-}
if [ -z "$torch_python" ]; then
    for candidate in "$python" python3 "$root/.venv-frameworks/bin/python"; do
        if has_torch "$candidate"; then torch_python=$candidate; break; fi
    done
fi
[ -n "$torch_python" ] || { echo "on_gpu: no Python here has PyTorch; name one in TORCH_PYTHON" >&2; exit 2; }
PYTHONPATH="$root" "$python" -c 'import numpy, psutil, pynvml' ||
    { echo "on_gpu: $python lacks what gsbatch needs: pip install -e $root" >&2; exit 2; }
cd "$root"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
# A training that hangs must not outlast the machine.
PYTHONPATH="$root" timeout --kill-after=10 540 "$python" -m tests.bench.on_gpu "$@" --torch-python "$torch_python"
