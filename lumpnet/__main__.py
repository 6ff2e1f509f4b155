"""`python -m lumpnet` is the `lumpnet` command."""

from lumpnet.cli import main

main()
