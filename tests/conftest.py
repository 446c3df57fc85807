"""What all the tests may use."""

pytest_plugins = ["tests.servers.fixtures"]
