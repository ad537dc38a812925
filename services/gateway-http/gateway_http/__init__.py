"""HTTP in front of the gateway: accepts work, answers questions, serves files."""
