#!/bin/bash
#= {"script": "tf2_mnist.py", "arguments": ["--fp16"], "processes": 4, "launcher": "mpirun"}
#SBATCH -p gpu
#SBATCH -n 4
#SBATCH --gpus-per-node=4
module load 2022 Horovod/0.28.1-foss-2022a-CUDA-11.7.0-TensorFlow-2.11.0
mpirun -np $SLURM_NTASKS -bind-to none -map-by slot -x NCCL_DEBUG=INFO -x LD_LIBRARY_PATH -x PATH -mca pml ob1 python tf2_mnist.py --fp16
