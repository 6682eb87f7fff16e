"""What reports and pages share: templates, panels and strips of images."""
