"""The search: two legs, fused, put in order by the model within a budget of time."""
