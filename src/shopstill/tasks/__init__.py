"""Tasks: what is learnt and how it is judged, a file a task."""
