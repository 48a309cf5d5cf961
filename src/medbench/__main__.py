"""`python -m medbench`."""

from medbench.cli.main import main

if __name__ == "__main__":
    main()
