"""``python -m skcfq`` is the program ``skcfq``."""

import sys

from skcfq.command_line import main

if __name__ == "__main__":
    sys.exit(main())
