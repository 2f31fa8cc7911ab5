"""Networks: encoders, cross-encoders, towers and their heads."""
