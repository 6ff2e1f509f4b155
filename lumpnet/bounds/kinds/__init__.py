"""One rule a file; `registry.rule_for` finds them."""
