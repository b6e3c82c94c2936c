#!/bin/bash
#= {"script": "train.py", "arguments": ["--precision", "bf16"], "processes": 16, "container": "nvcr.io#nvidia/pytorch:24.05-py3"}
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
CONTAINER=nvcr.io#nvidia/pytorch:24.05-py3
MOUNTS=$PWD:/workspace,/lustre/data:/data
srun --container-image=$CONTAINER --container-mounts=$MOUNTS --container-workdir=/workspace --no-container-mount-home \
  bash -c 'export RANK=$SLURM_PROCID; export LOCAL_RANK=$SLURM_LOCALID; export WORLD_SIZE=$SLURM_NTASKS; python -u train.py --precision bf16'
