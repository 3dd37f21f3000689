"""What proves the models right: each module computes one table that a command prints."""
