"""Train, distil, check and evaluate models (offline)."""
