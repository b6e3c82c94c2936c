"""Trainers on PyTorch: Lightning, Transformers."""
