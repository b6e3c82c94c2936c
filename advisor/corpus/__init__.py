"""Tickets, traces and accounting records -> SQLite; runs out. One writer: ``gsadmin ingest``."""
