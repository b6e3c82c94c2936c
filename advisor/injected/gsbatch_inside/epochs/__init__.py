"""Marks the epochs of a recorded training, and stops it where the user set a budget."""
