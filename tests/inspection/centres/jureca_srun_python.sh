#!/bin/bash
#= {"script": "ddp_training.py", "arguments": ["--epochs", "10"], "processes": 4, "launcher": "srun"}
#SBATCH --account=training
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:4
#SBATCH --output=output.%j
source setup.sh
export CUDA_VISIBLE_DEVICES="0,1,2,3"
MASTER_ADDR="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
export MASTER_ADDR="${MASTER_ADDR}i" MASTER_PORT=7010
srun --cpu_bind=none python3 -u ddp_training.py --epochs 10
