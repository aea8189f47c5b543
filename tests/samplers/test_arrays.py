import subprocess
import sys

import numpy as np
import torch

from sfumato.samplers.arrays import array_namespace


def test_each_array_has_the_functions_of_its_library() -> None:
    assert array_namespace(np.zeros(2)) is np
    assert array_namespace(np.float32(1)) is np
    tensor = torch.arange(6.0).reshape(2, 3)
    xp = array_namespace(tensor)
    assert torch.equal(xp.concat([tensor, tensor], axis=0), torch.cat([tensor, tensor]))
    assert torch.equal(xp.permute_dims(tensor, (1, 0)), tensor.T)


def test_numpy_loads_neither_fortran_tools_nor_torch() -> None:
    code = (
        "import sys, numpy; from sfumato.samplers.arrays import array_namespace\n"
        "array_namespace(numpy.zeros(1)).concat\n"
        "print([name for name in ('numpy.f2py', 'numpy.testing', 'torch') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
