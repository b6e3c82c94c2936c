"""Reads shell scripts without running them: which commands they start, with which arguments and variables."""
