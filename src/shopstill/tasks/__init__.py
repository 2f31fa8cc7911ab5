"""Tasks: what is learnt and how it is judged, a file a task."""

from shopstill.core.registry import Registry
from shopstill.tasks._course import (
    BASELINES,
    TEACHER,
    Course,
    Labels,
    Measures,
    Part,
    Task,
    faults_of,
    left_out_of,
    measures_of,
    stating,
)
from shopstill.tasks._rows import Questions, RowCourse

__all__ = [
    "BASELINES",
    "TASKS",
    "TEACHER",
    "Course",
    "Labels",
    "Measures",
    "Part",
    "Questions",
    "RowCourse",
    "Task",
    "faults_of",
    "left_out_of",
    "measures_of",
    "stating",
]

TASKS = Registry("shopstill.tasks", "task")
