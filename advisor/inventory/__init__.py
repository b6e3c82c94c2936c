"""Cluster to Inventory: partitions, nodes, GPUs and limits as this user may use them."""
