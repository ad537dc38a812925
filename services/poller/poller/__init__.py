"""Reads the site: how submitted jobs are doing, and whether accounts are alive."""
