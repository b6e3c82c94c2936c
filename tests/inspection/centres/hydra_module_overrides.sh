#!/bin/bash
#= {"module": "src.train", "arguments": ["experiment=cifar", "trainer.max_epochs=20", "seed=7"], "processes": 1, "given": ["7"]}
#SBATCH --gres=gpu:1
source "${SLURM_SUBMIT_DIR}/.venv/bin/activate"
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}${SLURM_SUBMIT_DIR}"
SEED=${1:-42}
python -m src.train experiment=cifar trainer.max_epochs=20 seed=${SEED}
