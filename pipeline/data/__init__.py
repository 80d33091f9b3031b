"""The data sets: what is known about each, its files, its tensors.

Importing this package does not import torch; `Data`, `Split` and `load` are in
`pipeline.data.tensors`.
"""

from pipeline.data.fetching import missing_files, prepare

__all__ = ["missing_files", "prepare"]
