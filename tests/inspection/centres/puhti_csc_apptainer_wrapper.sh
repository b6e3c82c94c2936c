#!/bin/bash
#= {"script": "myprog.py", "arguments": ["--data_path", "/tmp/data"], "processes": 1, "container": "apptainer_wrapper"}
#SBATCH --account=project_2000000
#SBATCH --partition=gpu
#SBATCH --gres=gpu:v100:1,nvme:100
module load pytorch/2.4
tar xf /scratch/big.tar -C /tmp/data
srun apptainer_wrapper exec python3 myprog.py --data_path /tmp/data
