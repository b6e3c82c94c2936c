#!/bin/bash
#= {"script": "mnist_classify.py", "arguments": ["--epochs=3", "--dataset=fast"], "processes": 1}
#SBATCH --job-name=torch-test    # create a short name for your job
#SBATCH --nodes=1                # node count
#SBATCH --ntasks=1               # total number of tasks across all nodes
#SBATCH --cpus-per-task=1        # cpu-cores per task
#SBATCH --mem=4G                 # total memory per node
#SBATCH --gres=gpu:1             # number of gpus per node
#SBATCH --time=00:05:00
#SBATCH --mail-type=begin        # send email when job begins
module purge
module load anaconda3/2024.2
conda activate torch-env
kernprof -o ${SLURM_JOBID}.lprof -l mnist_classify.py --epochs=3 --dataset=fast
