"""What everything else stands on: files, errors, progress, processes."""
