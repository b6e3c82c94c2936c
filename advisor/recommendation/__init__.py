"""Predictions to Recommendation: ranking and explanation."""
