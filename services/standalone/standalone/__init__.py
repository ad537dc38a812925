"""The whole gateway in one process, and the jimeng command."""
