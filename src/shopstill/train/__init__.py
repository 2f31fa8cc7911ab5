"""THE loop: one ``fit`` for teachers, students, twins and recovery."""
