"""Writes batch scripts from the Jinja2 templates in sbatch_templates/."""
