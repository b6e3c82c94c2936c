#!/bin/bash
#= {"script": "pytorch-ddp-test.py", "arguments": ["--init_method", "tcp://localhost:3456", "--world_size", "4", "--batch_size", "256"], "processes": 4, "launcher": "srun"}
#SBATCH --nodes=1
#SBATCH --gres=gpu:4
#SBATCH --ntasks-per-node=4
#SBATCH --ntasks=4
srun -N $SLURM_NNODES -n $SLURM_NNODES config_env.sh
module load gcc arrow python/3.11
source $SLURM_TMPDIR/ENV/bin/activate
export TORCH_NCCL_ASYNC_HANDLING=1
export MASTER_ADDR=$(hostname)
echo "r$SLURM_NODEID master: $MASTER_ADDR"
srun python pytorch-ddp-test.py --init_method tcp://$MASTER_ADDR:3456 --world_size $((SLURM_NTASKS_PER_NODE * SLURM_JOB_NUM_NODES)) --batch_size 256
