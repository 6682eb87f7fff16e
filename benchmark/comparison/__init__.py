"""The command ``compare``: finished runs beside each other."""
