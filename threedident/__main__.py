"""``python -m threedident``."""

from threedident.cli import main

main()
