"""Which functions an array has: those of the Array API standard, from its own library."""

from typing import Any

import numpy as np


def array_namespace(x: Any) -> Any:
    """Return the namespace of the Array API (2024.12) for the array `x`.

    numpy has it itself since 2.0. For other libraries array-api-compat stands in, which is not asked about
    numpy: its namespace for that loads all of numpy, Fortran compiler and test tools included (50 ms).
    """
    if isinstance(x, np.ndarray | np.generic):
        return np
    from array_api_compat import array_namespace as namespace_of

    return namespace_of(x)
