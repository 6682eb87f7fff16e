"""Correlation of factors and codes, and what chance, rotation and bending do to it."""
