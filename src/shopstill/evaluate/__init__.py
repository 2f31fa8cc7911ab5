"""Judging: quality per query, significance, latency, size, and the report that says what was kept."""
