"""Checks of submissions, and scores of their encoders on newly rendered images."""
