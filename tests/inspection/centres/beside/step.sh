#!/bin/bash
ulimit -s unlimited
python train.py --rank-zero "$1"
