"""Worker processes, each of which renders one chunk of rows and records finished rows."""
