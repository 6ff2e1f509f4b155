"""The lemmas behind every obligation of the checker, stated a third time for a prover.

`python -m proofs` proves them and prints one line each; `python -m proofs.trusted`
prints the size of what has to be believed. Nothing here imports lumpnet.
"""
