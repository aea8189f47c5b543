"""Weights live here and only here: files, backends, text encoding, and the bundle the engine draws with."""
