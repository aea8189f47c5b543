"""`sfumato evaluate`: scores of a model, by a judge that knows nothing of it."""

EXAMPLES = ""


def evaluate() -> None:
    """x"""
