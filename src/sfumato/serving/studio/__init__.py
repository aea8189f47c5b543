"""The studio: a page on which everything can be drawn, looked into, and kept."""
