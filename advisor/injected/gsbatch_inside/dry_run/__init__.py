"""The dry run of a training script, up to where training would begin and no further."""
