"""Corpus rows and prior data to regressors: fit, evaluate, promote."""
