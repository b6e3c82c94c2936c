#!/bin/bash
#= {"script": "mnist_ddp.py", "arguments": ["--epochs=100"], "processes": 8, "launcher": "torchrun"}
#SBATCH --account=project_2000000
#SBATCH --partition=gpumedium
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=128
#SBATCH --gres=gpu:a100:4
#SBATCH --time=1:00:00
module purge
module load pytorch
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun \
    --nnodes=$SLURM_JOB_NUM_NODES \
    --nproc_per_node=4 \
    --rdzv_id=$SLURM_JOB_ID \
    --rdzv_backend=c10d \
    --rdzv_endpoint="$MASTER_ADDR:29400" \
    mnist_ddp.py --epochs=100
