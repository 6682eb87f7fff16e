"""Losses without negatives, which keep codes from collapsing by the statistics of the batch."""
