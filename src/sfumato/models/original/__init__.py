"""The layout of the original Stable Diffusion files: one safetensors file with everything in it."""
