"""Comparison of finished runs: the command ``threedident compare``."""
