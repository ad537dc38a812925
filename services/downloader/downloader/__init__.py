"""Stores finished results before their links expire."""
