"""The clock: asks what is due, and runs the fits."""
