#!/usr/bin/env bash
# Every check, in the order in which a mistake is cheapest to find. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash docs/set_up.sh
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

# The matrices are small: where others compute too, a thread a core makes them minutes slower, not faster.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

bin=$PWD/.venv/bin
"$bin/ruff" format --check .
"$bin/ruff" check .
"$bin/mypy"
"$bin/lint-imports"
exec "$bin/python" -m pytest "$@"
