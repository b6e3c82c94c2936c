#!/bin/bash -e
#= {"script": "train.py", "arguments": ["--lr", "0.1"], "processes": 8, "container": "/scratch/project/rocm.sif"}
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --tasks-per-node=8
#SBATCH --ntasks=8
#SBATCH --partition=standard-g
#SBATCH --account=project_465000000
wd=$(pwd)
SIF=/scratch/project/rocm.sif
rm -rf $wd/run-me.sh
cat > $wd/run-me.sh << EOF
#!/bin/bash -e
# Make sure GPUs are up
if [ \$SLURM_LOCALID -eq 0 ] ; then
    rocm-smi
fi
sleep 2
export MIOPEN_USER_DB_PATH="/tmp/$(whoami)-miopen-cache-\$SLURM_NODEID"
export RANK=\$SLURM_PROCID
export ROCR_VISIBLE_DEVICES=\$SLURM_LOCALID
\$WITH_CONDA
python train.py --lr 0.1
EOF
chmod +x $wd/run-me.sh
c=fe
MYMASKS="0x${c}000000000000,0x${c}00000000000000,0x${c}0000"
srun --cpu-bind=mask_cpu:$MYMASKS \
  singularity exec -B /scratch:/scratch -B $wd:/workdir $SIF /workdir/run-me.sh
