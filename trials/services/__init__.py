"""One function per thing a person, or the clock, does."""
