"""The data sets: getting their files and turning them into tensors.

Importing this package does not import torch; `Data`, `Split` and `load` are in
`pipeline.data.tensors`.
"""

from pipeline.data.errors import DataError
from pipeline.data.preparation import prepare

__all__ = ["DataError", "prepare"]
