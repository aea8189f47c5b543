"""Adapters: small files that change a model's weights (LoRA and its relatives) or give it new words."""
