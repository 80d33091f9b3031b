"""The data sets: what is known about each, its files, its tensors.

Importing this package does not import torch; `Data`, `Split` and `load` are in
`pipeline.data.tensors`.
"""

from pipeline.data.fetching import prepare

__all__ = ["prepare"]
