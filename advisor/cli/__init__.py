"""The commands: each parses its arguments, calls one workflow and prints what it returns. Only this package prints."""
