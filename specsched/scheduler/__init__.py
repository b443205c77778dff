"""classify → decide → admit → dispatch → observe."""
