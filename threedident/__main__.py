"""``python -m threedident``."""

from threedident.runtime.packages import stand_back

stand_back()

from threedident.cli import main  # noqa: E402, imports what the working directory could shadow

main()
