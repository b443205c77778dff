"""What produces draft tokens: a draft model, n-grams, or both."""
