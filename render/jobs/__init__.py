"""Whole splits: what is missing is rendered, what is damaged is repaired."""
