"""Predicted instances against true ones."""
