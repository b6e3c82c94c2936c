#!/usr/bin/env bash
# The main job without Slurm: advise on a described cluster, then run the written script here, record it and report.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bash docs/set_up.sh

# The example trains with the Keras that the lock installs; on a cluster it would be the user's own environment.
PATH="$PWD/.venv/bin:$PATH"
export PATH
set -x
gsbatch --inventory docs/examples/datacentre.toml --local docs/examples/train_keras.py "$@"
