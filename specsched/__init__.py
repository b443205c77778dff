"""specsched: adaptive scheduler for speculative decoding."""
