"""The power is cut, again and again: what was promised must still be there."""
