"""Prints where this Python's torch lies and its version; fails, saying why, where there is none."""

import sys

try:
    import torch
except Exception as error:  # a torch that does not load is as good as none, whatever the reason
    sys.exit(f"{sys.executable}: {error}")
if not torch.compiled_with_cxx11_abi():
    sys.exit(f"torch {torch.__version__} has the C++ ABI from before C++11")
print(torch.__path__[0])
print(torch.__version__)
