"""Sends a prepared job to the site once, in the site's own page where it must be."""
