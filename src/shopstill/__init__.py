"""shopstill: distil heavy e-commerce models into small students, and prove what they kept."""

__version__ = "0.1.0"
