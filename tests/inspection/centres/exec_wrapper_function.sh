#!/bin/bash
#= {"script": "train.py", "arguments": ["--steps", "1000", "--amp"], "processes": 1}
#SBATCH --gres=gpu:1
set -euo pipefail
log() { echo "[$(date)] $*" >&2; }
run() {
  local label="$1"; shift
  log "starting $label"
  "$@" || { log "$label failed"; exit 1; }
}
PYTHON=${PYTHON:-python}
EXTRA=""
if [[ -n "${USE_AMP:-1}" ]]; then EXTRA="--amp"; fi
run training $PYTHON -u train.py --steps $((10 * 100)) $EXTRA
