"""`python -m memgrid`: the `memgrid` command."""

from memgrid.cli import main

main()
