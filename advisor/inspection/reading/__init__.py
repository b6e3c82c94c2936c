"""Source code read without running it: an interpreter that knows some values, and what the calls it meets say."""
