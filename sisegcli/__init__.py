"""Turn semantic masks into object instances, with a network trained on semantic masks alone."""

__version__ = "0.1.0"
