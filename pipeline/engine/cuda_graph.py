"""A function whose GPU kernels are recorded once and then replayed: one launch for all of them."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["Replayed"]

NUM_WARM_UP_CALLS = 3
"""Libraries settle their algorithms and workspaces in the first calls, which can't be recorded."""


class Replayed:
    """Calls a function a few times as it is, then records it as a CUDA graph and replays that.

    The function must work in place on tensors that stay where they are, and must not wait for
    the device. Every call takes effect once, the warm-up calls too.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def __call__(self) -> None:
        """Do what the function does."""
        self._calls += 1
        if self._calls <= NUM_WARM_UP_CALLS:
            self._warm_up()
            return
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._function()
        self._graph.replay()

    def _warm_up(self) -> None:
        """Call the function on a stream of its own, as recording will."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            self._function()
        current.wait_stream(side)
