"""What encoders are trained on: images, mixed latents, KITTI Masks."""
