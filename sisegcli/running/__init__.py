"""Runs over many images: order, batches, problems and outputs; the algorithm does not know that it exists."""
