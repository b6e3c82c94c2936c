#!/bin/bash
#= {"script": "main.py", "arguments": ["--world-size", "16"], "processes": 16, "launcher": "srun"}
#SBATCH -A PRJ123
#SBATCH -N 2
#SBATCH -p batch
export MASTER_ADDR=$(hostname -i)
export NNODES=$SLURM_JOB_NUM_NODES
NTASKS=$((NNODES * 8))
source /ccs/home/user/miniconda3/etc/profile.d/conda.sh
conda activate /ccs/proj/envs/torch
time srun -N$NNODES -n$NTASKS -c7 --gpus-per-task=1 --gpu-bind=closest python -W ignore -u main.py --world-size $NTASKS
