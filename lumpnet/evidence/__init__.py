"""Untrusted search and measurement: samples and Z3. What they say is named as theirs, never mixed with a proof."""
