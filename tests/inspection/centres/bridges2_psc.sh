#!/bin/bash
#= {"script": "train.py", "arguments": ["--data-dir", null], "processes": 1}
#SBATCH -N 1
#SBATCH -p GPU-shared
#SBATCH -t 5:00:00
#SBATCH --gpus=v100-32:4
#echo commands to stdout
set -x
cd /ocean/projects/groupname/username/path-to-directory || cd $SLURM_SUBMIT_DIR
module load AI/anaconda3-tf2.2020.11
source activate $AI_ENV
cd $SLURM_SUBMIT_DIR
python train.py --data-dir $LOCAL/data
