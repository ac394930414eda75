"""wsgcn: from image-level labels to pixel-wise labels, with a graph convolutional network learned for each image."""

__version__ = "0.1.0"
