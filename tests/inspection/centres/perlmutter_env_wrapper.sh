#!/bin/bash -l
#= {"script": "main.py", "arguments": ["--data", "/cfs/imagenet", "-b", "256"], "processes": 4, "launcher": "srun"}
#SBATCH --time=02:00:00
#SBATCH -C gpu&hbm80g
#SBATCH -N 1
#SBATCH --ntasks-per-node=4
#SBATCH -c 32
module load pytorch/2.3.1
cmd="python main.py --data /cfs/imagenet -b 256"
set -x
srun -l \
    bash -c "
    export RANK=\$SLURM_PROCID WORLD_SIZE=\$SLURM_NTASKS LOCAL_RANK=\$SLURM_LOCALID
    $cmd
    "
