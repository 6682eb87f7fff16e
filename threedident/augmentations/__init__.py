"""Augmentations: random changes of images, made for whole batches on the device of the images."""
