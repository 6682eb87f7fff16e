"""Positive pairs: how they are found, addressed, and delivered in batches."""
