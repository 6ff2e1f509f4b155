"""Floor 5: models of other libraries become network graphs, losslessly or not at all."""
