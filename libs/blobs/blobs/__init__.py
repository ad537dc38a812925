"""Stored files: written whole or not at all, found by key."""
