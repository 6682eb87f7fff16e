"""Worker processes: one renders one chunk of rows and journals what it finished."""
