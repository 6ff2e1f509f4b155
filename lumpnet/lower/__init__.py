"""Floor 5: network graphs become models of other libraries."""
