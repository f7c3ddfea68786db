"""What changed between two sets of images, and of which kind the change is."""
