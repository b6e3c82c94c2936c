"""Finds the Python programs that a batch script starts, behind whatever starts them."""
