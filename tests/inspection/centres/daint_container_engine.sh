#!/bin/bash
#= {"script": "train.py", "arguments": ["--size", "7b"], "processes": 8, "launcher": "torchrun", "container": "ngc-pytorch"}
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
set -x
ulimit -c 0
export MASTER_ADDR=$(scontrol show hostname $SLURM_NODELIST | head -n1)
export MASTER_PORT=6000
srun -ul --environment=ngc-pytorch bash -c "
    # pip install -e .
    TORCHRUN_ARGS=\"
        --node-rank=\${SLURM_PROCID} \
        --master-addr=\${MASTER_ADDR} \
        --master-port=\${MASTER_PORT} \
        --nnodes=\${SLURM_NNODES} \
        --nproc-per-node=\${SLURM_GPUS_ON_NODE} \
    \"
    numactl --membind=0-3 torchrun \${TORCHRUN_ARGS} train.py --size 7b
"
