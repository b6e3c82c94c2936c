"""gsbatch: a Slurm submission advisor that predicts, submits, measures and learns the energy of training jobs."""

__version__ = "0.1.0"
