"""Submissions: their content, and how they are made from runs."""
