"""KITTI Masks: a file of pedestrian tracks, read without running code, as a source of pairs."""
