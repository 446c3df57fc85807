"""The sync client: generated, see `memgrid._unasync`."""
