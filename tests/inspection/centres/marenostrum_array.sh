#!/bin/bash
#= {"script": "train.py", "arguments": ["--lr", "0.1"], "processes": 1}
#SBATCH --array=0-3
#SBATCH --gres=gpu:1
#SBATCH --qos=acc_debug
LRS=(0.1 0.01 0.001 0.0001)
LR=${LRS[$SLURM_ARRAY_TASK_ID]}
module load anaconda
source activate dl
python train.py --lr "$LR"
