"""Training script to Workload: what it will train, found without running the training."""
