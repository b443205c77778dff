"""One file per top-level key of specsched.yaml."""
