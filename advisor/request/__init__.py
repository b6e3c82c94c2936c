"""What the user asked for: command line, directives and script read into frozen values."""
