"""Workload x Inventory to candidate Placements; each rejected one keeps its reason."""
