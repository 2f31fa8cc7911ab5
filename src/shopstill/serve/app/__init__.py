"""HTTP: routes, limits, keys, metrics."""
