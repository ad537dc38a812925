"""The OpenAPI document: what FastAPI knows of the routes, and what only we know."""
