"""Recommendation to batch script text, from the Jinja2 templates in sbatch_templates/."""
