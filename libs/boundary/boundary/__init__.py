"""Where an effect becomes lasting: the places at which a crash must lose nothing."""

from boundary.passages import KILL, LOG, boundary, watch

__all__ = ["KILL", "LOG", "boundary", "watch"]
