#!/bin/bash
#= {"script": "train.py", "arguments": ["--batch", "32"], "processes": 1}
#SBATCH --gres=gpu:1
nvidia-smi
python -c "import torch; print(torch.__version__, torch.cuda.is_available())"
ncu --set full -o report --target-processes all -k regex:gemm -c 5 python train.py --batch 32
