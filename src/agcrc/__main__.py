"""`python -m agcrc`."""

from agcrc.cli.main import main

main()
