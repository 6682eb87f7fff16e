"""Reports of runs: scores, figures and a page that needs no network."""
