"""The typed Python client of the gateway's HTTP API."""
