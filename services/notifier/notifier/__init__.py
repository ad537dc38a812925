"""Tells others what happened: signed webhooks."""
