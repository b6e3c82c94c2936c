#!/bin/bash
#= {"script": "train.py", "arguments": ["--rank-zero", "yes"], "processes": 4, "launcher": "srun"}
#SBATCH -N1
#SBATCH --ntasks=4
#SBATCH --gpus-per-task=1
srun bash step.sh yes
