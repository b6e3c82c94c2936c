"""One reader for each public study of measured trainings: its rows as runs."""
