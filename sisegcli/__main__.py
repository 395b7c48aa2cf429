"""``python -m sisegcli``."""

from sisegcli.cli import main

if __name__ == "__main__":
    main()
