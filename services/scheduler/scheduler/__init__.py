"""Owns tasks, attempts and sessions, and decides what happens next."""
