"""How much the service takes on, and who is next."""
