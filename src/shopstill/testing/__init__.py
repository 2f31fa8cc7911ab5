"""Conformance suites: what every loss, pass, task and reader must pass, the library's own and anyone else's."""
