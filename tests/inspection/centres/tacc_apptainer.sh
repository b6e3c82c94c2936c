#!/bin/bash
#= {"script": "train.py", "arguments": [], "processes": 1, "container": "/apps/images/pytorch.sif"}
#SBATCH -p rtx
#SBATCH -N 1
#SBATCH -n 1
module load tacc-apptainer
apptainer exec --nv --bind $SCRATCH:/data --pwd /data /apps/images/pytorch.sif python train.py
