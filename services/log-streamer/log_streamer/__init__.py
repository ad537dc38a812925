"""Brings in the log lines of what cannot publish for itself."""
