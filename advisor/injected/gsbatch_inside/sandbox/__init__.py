"""Keeps a dry run in bounds: files, network, processes; and notes what of the machine it looks at."""
