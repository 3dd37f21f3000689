"""What a trial is, how it is kept, how people use it."""
