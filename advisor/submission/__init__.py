"""Batch script text to job id and ticket, with sbatch's own manners."""
