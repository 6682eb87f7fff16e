"""Runs: options, configuration, folder, report."""
