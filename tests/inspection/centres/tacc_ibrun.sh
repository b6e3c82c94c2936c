#!/bin/bash
#= {"script": "train.py", "arguments": ["--size", "large"], "processes": 2, "launcher": "mpirun"}
#SBATCH -J myjob
#SBATCH -o myjob.o%j
#SBATCH -p gpu-a100
#SBATCH -N 1
#SBATCH -n 2
#SBATCH -t 01:30:00
cd $SLURM_SUBMIT_DIR
module load tacc-apptainer cuda/12.2
export OMP_NUM_THREADS=4
ibrun python3 train.py --size large
