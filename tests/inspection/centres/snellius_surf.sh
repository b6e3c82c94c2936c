#!/bin/bash
#= {"script": "resnet.py", "arguments": ["--batch-size", "128", "--seed", "1"], "processes": 1, "rounds": 3}
#SBATCH --partition=gpu
#SBATCH --gpus=1
#SBATCH --job-name=ResNet
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=18
#SBATCH --time=01:00:00
module purge
module load 2023
module load PyTorch/2.1.2-foss-2023a-CUDA-12.1.1
BATCH=128
for SEED in {1..3}; do
    python -u resnet.py --batch-size $BATCH --seed $SEED > out_$SEED.log
done
