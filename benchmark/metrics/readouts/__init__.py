"""Readouts: what can be predicted from codes."""
