"""Pixels and files, without weights: opening, saving and what a picture says about itself."""
