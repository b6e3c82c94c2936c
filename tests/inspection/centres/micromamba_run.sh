#!/bin/bash
#= {"script": "train.py", "arguments": ["--gpus", "2"], "processes": 1}
#SBATCH --gres=gpu:2
export MAMBA_ROOT_PREFIX=$HOME/micromamba
NGPU=$(echo $CUDA_VISIBLE_DEVICES | tr ',' '\n' | wc -l)
NGPU=2
/usr/bin/time -v micromamba run -n dl stdbuf -oL python train.py --gpus $NGPU
