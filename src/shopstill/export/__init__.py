"""Trained models as bundles: graphs, proof that they score the same, and folders that other libraries read."""
