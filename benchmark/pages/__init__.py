"""Parts of HTML reports: templates, panels and strips of images."""
