"""The crash sweep: every service killed at each of its boundaries in turn."""
