"""What happens to tasks and sessions, sent to clients as it happens (SSE)."""
