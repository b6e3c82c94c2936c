#!/usr/bin/env bash
# Every check, in the order in which a mistake is cheapest to find.
#
#     bash tests/run.sh                     all of it
#     bash tests/run.sh --quick             without Slurm, training frameworks and what is slow: what to run while you write
#     bash tests/run.sh tests/cli -k help   what these arguments of pytest choose, in one process
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
quick=no
if [ "${1:-}" = --quick ]; then
    quick=yes
    shift
fi
bash docs/set_up.sh

if [ "$quick" = no ]; then
    # Keras 2. It would ask for tensorflow, where the tests have tensorflow-cpu.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps tf_keras==2.21.0 ||
        echo "run: the tests of Keras 2 will be skipped." >&2
    slurm=0
    bash tests/real_slurm/install_slurm.sh || slurm=$?
    if [ "$slurm" != 0 ] && [ "${CI:-}" = true ]; then
        echo "run: CI=true and Slurm could not be installed: that is a failure here, not a skip." >&2
        exit 1
    fi
    bash tests/frameworks.sh || echo "run: the tests that need PyTorch or JAX will be skipped." >&2
fi

# The matrices are small: where others compute too, a thread a core makes them minutes slower, not faster.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

bin=$PWD/.venv/bin
"$bin/ruff" format --check .
"$bin/ruff" check .
"$bin/mypy"
"$bin/lint-imports"

if [ "$quick" = yes ]; then
    # An interpreter that is not there: tests of PyTorch and JAX skip themselves.
    export GSBATCH_FRAMEWORKS_PYTHON=/nonexistent
    set -- -m "not real_slurm and not tensorflow and not slow" "$@"
fi
if [ "$quick" = yes ] || [ $# = 0 ]; then
    # Two at once: most tests of Slurm wait, and a dry run computes. tests/conftest.py says what must not be parted.
    set -- --numprocesses=2 --dist=loadgroup "$@"
fi
exec "$bin/python" -m pytest "$@"
