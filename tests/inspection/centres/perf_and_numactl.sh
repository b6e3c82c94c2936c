#!/bin/bash
#= {"script": "bench/train.py", "arguments": ["--steps", "200"], "processes": 1}
#SBATCH --gres=gpu:1
cd $SLURM_SUBMIT_DIR
numactl -N 0 -m 0 perf stat -e power/energy-pkg/ -o perf.txt -- python bench/train.py --steps 200
