"""The commands: parse, call one function, print. Nothing else in the package prints or exits."""
