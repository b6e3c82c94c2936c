#!/bin/bash
#= {"script": "train.py", "arguments": ["--epochs", "2"], "processes": 1}
#SBATCH --gres=gpu:1
module load anaconda3/2024.2 nvidia/nsight-systems
/usr/local/bin/nsys profile --trace=cuda,nvtx,osrt -o myprofile_%p --force-overwrite true python train.py --epochs 2
