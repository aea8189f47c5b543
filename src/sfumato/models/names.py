"""Names of tensors through the ages: what published files call them, and what diffusers and transformers do
today.
"""

# The attention of VAEs published before diffusers 0.18 carries other names.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def current_name(key: str) -> str:
    """Return the tensor name `key` as today's classes have it.

    transformers 5 dropped the prefix ``text_model.`` of CLIP, diffusers 0.18 renamed the attention of VAEs.
    """
    parts = key.removeprefix("text_model.").split(".")
    return ".".join(OLD_ATTENTION.get(part, part) for part in parts)
