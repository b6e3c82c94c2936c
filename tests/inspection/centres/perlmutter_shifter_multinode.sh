#!/bin/bash
#= {"script": "train_multi.py", "arguments": ["--config", "config/A.yaml", "--epochs", "30"], "processes": 8, "container": "nersc/pytorch:ngc-24.06-v0"}
#SBATCH -A m0000_g
#SBATCH -C gpu
#SBATCH -q regular
#SBATCH --ntasks-per-node 4
#SBATCH --gpus-per-node 4
#SBATCH --nodes=2
#SBATCH --image=nersc/pytorch:ngc-24.06-v0
#SBATCH --module=gpu,nccl-2.18
#SBATCH -J sc-train
#SBATCH -o %x-%j.out

export MASTER_ADDR=$(hostname)
export MASTER_PORT=29500
export FI_MR_CACHE_MONITOR=userfaultfd
DATADIR=/pscratch/sd/s/shared/data
LOGDIR=${SCRATCH}/logs
mkdir -p ${LOGDIR}
args="${@}"

hostname
set -x
srun -l -u --gpus-per-task=1 shifter --image=nersc/pytorch:ngc-24.06-v0 -V ${DATADIR}:/data -V ${LOGDIR}:/logs \
    bash -c "
    source export_DDP_vars.sh
    python train_multi.py --config config/A.yaml --epochs 30
    "
