"""Shell completion of the four commands."""
