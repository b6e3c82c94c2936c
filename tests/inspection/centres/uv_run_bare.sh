#!/usr/bin/env bash
#= {"script": "train.py", "arguments": ["--epochs", "12"], "processes": 1, "manager": "uv run"}
#SBATCH --gres=gpu:1
uv sync --frozen
uv run --no-sync train.py --epochs 12
