#!/bin/bash
#= {"script": "cifar10.py", "arguments": ["--batch_size=512", "--num_workers=3"], "processes": 1}
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=3
#SBATCH --mem=8000M
#SBATCH --time=0-03:00
#SBATCH --output=%N-%j.out
module load python/3.11
virtualenv --no-download $SLURM_TMPDIR/env
source $SLURM_TMPDIR/env/bin/activate
pip install --no-index torch torchvision
echo "starting training..."
time python cifar10.py --batch_size=512 --num_workers=3
