"""The program ``skcfq``: audits, advice, letters and exports from files.

For developers; users take the program itself.
"""

from skcfq.command_line._program import main

__all__ = ["main"]
