"""Gradient descent: the loop, batches, augmentation, several devices."""
