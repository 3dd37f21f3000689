"""The pages: one blueprint per reader."""
