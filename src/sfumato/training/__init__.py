"""Training: the bundled model's world, data, objectives and the one training loop."""
