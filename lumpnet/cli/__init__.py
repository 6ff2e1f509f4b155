"""The roof: one subcommand is one public function and one verdict line."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `lumpnet` command; loads everything else on first use."""
    from lumpnet.cli.app import app

    app()
