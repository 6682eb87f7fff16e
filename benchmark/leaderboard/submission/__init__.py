"""Submissions: what they hold, and how they are made from runs."""
