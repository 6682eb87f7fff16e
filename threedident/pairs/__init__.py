"""Positive pairs: search for positives, numbering of pairs, and loading of batches."""
