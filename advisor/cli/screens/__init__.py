"""Values as text, tables and JSON."""
