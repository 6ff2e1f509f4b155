"""Performance, as ratios within one run: never a time in a test."""
