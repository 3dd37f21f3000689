"""Database rows and their queries, one module per domain word."""
