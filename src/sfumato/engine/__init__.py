"""Makes pictures: conditions to a plan, a plan to a denoiser, a denoiser through the loop, all as events."""
