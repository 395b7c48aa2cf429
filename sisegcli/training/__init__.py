"""Training on images with semantic masks alone, never on instance labels."""
