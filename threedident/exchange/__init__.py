"""Data sets from and for other people: the published archive, and layouts of other readers."""
