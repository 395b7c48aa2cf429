"""Writers and readers of instances, one file a format."""
