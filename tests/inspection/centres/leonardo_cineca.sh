#!/bin/bash
#= {"script": "train.py", "arguments": ["--nodes", "2"], "processes": 8, "launcher": "torchrun"}
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gres=gpu:4
#SBATCH --partition=boost_usr_prod
#SBATCH --qos=boost_qos_dbg
nodes=( $( scontrol show hostnames $SLURM_JOB_NODELIST ) )
nodes_array=($nodes)
head_node=${nodes_array[0]}
head_node_ip=$(srun --nodes=1 --ntasks=1 -w "$head_node" hostname --ip-address)
echo Node IP: $head_node_ip
export LOGLEVEL=INFO
source $WORK/envs/torch/bin/activate
srun torchrun --nnodes $SLURM_NNODES --nproc_per_node 4 --rdzv_id $RANDOM --rdzv_backend c10d \
  --rdzv_endpoint $head_node_ip:29500 train.py --nodes $SLURM_NNODES
