#!/bin/bash
#= {"script": "train.py", "arguments": ["--epochs", "5", "--lr", "0.1", "--name", "run-small"], "processes": 1, "given": ["-e", "5", "-n", "small"]}
#SBATCH --gres=gpu:1
usage() { echo "usage: $0 [-e epochs] [-l lr] [-n name]"; exit 1; }
EPOCHS=90
LR=${LR:-0.1}
NAME=default
while getopts ":e:l:n:h" opt; do
  case "${opt}" in
    e) EPOCHS="${OPTARG}" ;;
    l) LR="${OPTARG}" ;;
    n) NAME="${OPTARG}" ;;
    h|*) usage ;;
  esac
done
shift $((OPTIND-1))
ARGS=()
ARGS+=(--epochs "$EPOCHS")
ARGS+=(--lr "$LR" --name "run-${NAME}")
python train.py "${ARGS[@]}" "$@"
