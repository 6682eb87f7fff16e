"""Data sets on disk: folders, manifests, origins, statistics, verification."""
