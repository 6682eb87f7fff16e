"""Rules of positive pairs, and their spelling."""
