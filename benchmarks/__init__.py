"""How fast the product is, measured: one module per subject, each run in its own process."""
