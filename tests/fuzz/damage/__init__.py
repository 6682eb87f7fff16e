"""Damage to files, and the specimens that suffer it."""
