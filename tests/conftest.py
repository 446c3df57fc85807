"""What all the tests may use."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job, and then in every child
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.servers.fixtures"]
