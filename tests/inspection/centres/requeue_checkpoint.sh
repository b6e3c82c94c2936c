#!/bin/bash
#= {"script": "train.py", "arguments": ["--epochs", "50"], "processes": 1}
#SBATCH --requeue --signal=B:USR1@120
#SBATCH --gres=gpu:1
handler() { echo "requeueing"; scontrol requeue $SLURM_JOB_ID; }
trap handler USR1
RESUME=""
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
  RESUME="--resume latest"
fi
python train.py --epochs 50 $RESUME &
PID=$!
wait $PID
