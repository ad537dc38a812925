"""HTTP, one file per resource; each has `router(parts)`."""
