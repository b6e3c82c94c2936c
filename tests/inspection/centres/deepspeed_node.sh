#!/bin/bash
#= {"script": "pretrain.py", "arguments": ["--deepspeed", "--deepspeed_config", "ds_config.json"], "processes": 4, "launcher": "deepspeed"}
#SBATCH --gres=gpu:4
#SBATCH --nodes=1
source ~/.bashrc
eval "$(conda shell.bash hook)"
conda activate ds
export CUDA_HOME=/usr/local/cuda
deepspeed --num_gpus=4 --master_port $((RANDOM % 1000 + 20000)) pretrain.py --deepspeed --deepspeed_config ds_config.json 2>&1 | tee train.log
