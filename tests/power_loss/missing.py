"""Whether power can be cut on this machine, and what is missing where it cannot."""

import os
from importlib import import_module
from pathlib import Path

from chaos import processes


def why_not() -> str:
    """Return what is missing, and take mounts of one's own; nothing: all is there."""
    if why := why_no_fuse():
        return why
    if not processes.private_mounts():
        return "mounts of one's own (unshare) are not allowed"
    return ""


def why_no_fuse() -> str:
    """Return what keeps a file system of ours from being mounted."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no FUSE: /dev/fuse is not there"
    if os.geteuid() != 0:
        return "no FUSE: only root mounts here"
    try:
        import_module("mfusepy")
    except (ImportError, OSError):
        return "no FUSE: install Debian's fuse3 or libfuse2"
    return "" if Path("/proc/self/ns/mnt").exists() else "no FUSE: not Linux"
