"""The same work in JAX: vmap over members of value_and_grad, one jitted epoch."""

# JAX is an optional extra, and its functions are hardly typed.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

__all__ = ["make_vmap_jit"]


def make_vmap_jit(
    inputs: NDArray[np.float32], labels: NDArray[np.int64], num_members: int, batch: int
) -> Callable[[], object]:
    """Return a function that trains the members for one epoch: softmax, SGD, L2.

    Args:
        inputs: (examples, features).
        labels: (examples,).
        num_members: networks at once.
        batch: examples per mini-batch.
    """
    x, y = jnp.asarray(inputs), jnp.asarray(labels)
    strengths = jnp.linspace(0, 0.01, num_members)
    num_steps = len(labels) // batch

    def cost(weights: Any, biases: Any, strength: Any, xs: Any, ys: Any) -> Any:
        log_a = jax.nn.log_softmax(xs @ weights.T + biases)
        nll = -jnp.take_along_axis(log_a, ys[:, None], axis=1).mean()
        return nll + strength / 2 * (weights**2).sum()

    gradients = jax.vmap(jax.grad(cost, argnums=(0, 1)), in_axes=(0, 0, 0, None, None))

    def step(state: Any, rows: Any) -> Any:
        weights, biases = state
        dw, db = gradients(weights, biases, strengths, x[rows], y[rows])
        return (weights - 0.5 * dw, biases - 0.5 * db), None

    @jax.jit
    def epoch(state: Any, order: Any) -> Any:
        return jax.lax.scan(step, state, order)[0]

    def run() -> object:
        generator = np.random.default_rng(0)
        order = generator.permutation(len(labels))[: num_steps * batch].reshape(num_steps, batch)
        weights = generator.normal(0, 0.1, (num_members, 10, inputs.shape[1])).astype(np.float32)
        state = (jnp.asarray(weights), jnp.zeros((num_members, 10)))
        return jax.block_until_ready(epoch(state, jnp.asarray(order)))

    return run
