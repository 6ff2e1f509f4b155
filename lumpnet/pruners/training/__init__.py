"""What the methods that train share. Its modules load torch, so methods import them when they run."""
