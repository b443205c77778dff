"""Ways to reach a worker."""
