#!/bin/bash
#= {"script": "train.py", "arguments": ["--out", "runs/1000001", "--port", "29500", "--stamp", "now"], "processes": 1}
#SBATCH --gres=gpu:1
STAMP=$(date +%Y%m%d)
PORT=$(expr 10000 + $(echo -n $SLURM_JOBID | tail -c 4))
python train.py --out runs/$SLURM_JOB_ID --port $PORT --stamp $STAMP
