"""The commands of ``gsadmin``, each in a module of its own."""
