"""Sources of training data: images, mixed latents, KITTI Masks."""
