#!/bin/bash
#= {"script": "train.py", "arguments": ["--classes", "100", "--data", "cifar100"], "processes": 1, "given": ["cifar100"]}
#SBATCH --gres=gpu:1
DATASET=$1
case $DATASET in
  cifar10) CLASSES=10 ;;
  cifar100|CIFAR100) CLASSES=100 ;;
  *) echo "unknown $DATASET"; exit 2 ;;
esac
python train.py --classes $CLASSES --data ${DATASET,,}
