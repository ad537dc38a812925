"""Checks a task's reference files and uploads them to the site."""
