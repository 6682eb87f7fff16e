"""Checks of submissions, and scores on images drawn anew."""
