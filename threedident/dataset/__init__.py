"""One split as a torch Dataset, read from image files or from packs."""
