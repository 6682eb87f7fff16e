"""Exchange of data sets: download of the published one, and export to other layouts."""
