#!/bin/bash
#= {"script": "train.py", "arguments": ["--model", "vit_b_16"], "processes": 8, "launcher": "srun"}
#SBATCH --partition=small-g
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=8
#SBATCH --nodes=1
cat << EOF > select_gpu
#!/bin/bash

export ROCR_VISIBLE_DEVICES=\$SLURM_LOCALID
exec \$*
EOF
chmod +x ./select_gpu
CPU_BIND="map_cpu:49,57,17,25,1,9,33,41"
export PATH="/project/env/bin:$PATH"
srun --cpu-bind=${CPU_BIND} ./select_gpu python train.py --model vit_b_16
rm -rf ./select_gpu
