"""Rendering of whole splits: missing images are rendered, damaged files are repaired."""
