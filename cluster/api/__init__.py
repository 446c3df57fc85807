"""The HTTP API: FastAPI routes over a `memgrid.routing.Router`. It keeps no memory of its own, and no Ray."""
