"""What the service costs: the scheduler between real callers and workers, in processes of their own."""
