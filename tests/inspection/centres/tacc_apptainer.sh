#!/bin/bash
#= {"script": "train.py", "arguments": [], "processes": 1, "container": "/work/apps/pytorch.sif"}
#SBATCH -p rtx
#SBATCH -N 1
#SBATCH -n 1
module load tacc-apptainer
apptainer exec --nv --bind $SCRATCH:/data --pwd /data /work/apps/pytorch.sif python train.py
