"""Where networks run. The engine sees only the `Backend` protocol of `base`."""
