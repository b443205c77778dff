"""Published policies behind the same two ports, for comparison and for users who prefer them."""
