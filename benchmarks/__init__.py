"""Benchmarks. As the server's own Ray: else a driver that joins it rewrites 127.0.0.1 to another address."""

import os

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
