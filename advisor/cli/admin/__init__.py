"""The commands of ``gsadmin``, one a module."""
