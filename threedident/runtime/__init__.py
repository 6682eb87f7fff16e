"""Foundation of all other folders: files, errors, progress, processes."""
