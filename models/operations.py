"""The kernels as operations of PyTensor, with the gradients they bring along.

An operation's version is the hash of its kernels' text, so that a cache on disk never serves
what an older version of the project compiled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, override

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph import Apply, Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from models import kernels

type Tensor = Any
"""A node of the graph; PyTensor's own types say less than its name."""

_daily_noise, _fading = kernels.daily_noise, kernels.fading
VERSION = int(hashlib.sha256(Path(kernels.__file__).read_bytes()).hexdigest()[:12], 16)


class Fading(Op):  # type: ignore[misc]  # PyTensor's types are not read
    """See ``models.kernels.fading``."""

    __props__ = ()

    @override
    def make_node(self, *inputs: Tensor) -> Apply:
        """Take jump, wait, age, segment and half-lives; give what is left, and its slope."""
        return Apply(self, [pt.as_tensor(x) for x in inputs], [pt.dmatrix(), pt.dmatrix()])

    @override
    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:
        """Run the kernel."""
        for storage, value in zip(output_storage, _fading(*inputs), strict=True):
            storage[0] = value

    @override
    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only the half-lives are parameters; the slope is not differentiated again."""
        return [[False, False]] * 4 + [[True, False]]

    @override
    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> list[Tensor]:
        """Each arm's half-life moves its own column."""
        by_half_life = (cotangents[0] * outputs[1]).sum(axis=0)
        return [DisconnectedType()() for _ in inputs[:-1]] + [by_half_life]


class DailyNoise(Op):  # type: ignore[misc]  # PyTensor's types are not read
    """See ``models.kernels.daily_noise``."""

    __props__ = ()

    @override
    def make_node(self, *inputs: Tensor) -> Apply:
        """Take gap, period, residual, sd, phi, period_sd; give the density and its gradient."""
        made = [pt.dscalar(), pt.dvector(), pt.dscalar(), pt.dscalar(), pt.dscalar()]
        return Apply(self, [pt.as_tensor(x) for x in inputs], made)

    @override
    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:
        """Run the kernel."""
        gap, period, residual, *scalars = inputs
        values = _daily_noise(residual, gap, period, *map(float, scalars))
        for storage, value in zip(output_storage, values, strict=True):
            storage[0] = np.asarray(value)

    @override
    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """The density depends on the parameters; its gradient is not differentiated again."""
        return [[False] * 5] * 2 + [[True, False, False, False, False]] * 4

    @override
    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> list[Tensor]:
        """The kernel has the gradient ready."""
        return [DisconnectedType()() for _ in inputs[:2]] + [
            cotangents[0] * output for output in outputs[1:]
        ]


@register_funcify_default_op_cache_key(Fading)  # type: ignore[untyped-decorator]
def _compile_fading(op: Fading, node: Apply | None = None, **_: Any) -> tuple[Any, int]:
    @numba_njit
    def run(jump, wait, age, segment, half_life):  # type: ignore[no-untyped-def]
        return _fading(jump, wait, age, segment, half_life)

    return run, VERSION


@register_funcify_default_op_cache_key(DailyNoise)  # type: ignore[untyped-decorator]
def _compile_daily_noise(op: DailyNoise, node: Apply | None = None, **_: Any) -> tuple[Any, int]:
    @numba_njit
    def run(gap, period, residual, sd, phi, period_sd):  # type: ignore[no-untyped-def]
        density, by_residual, by_sd, by_phi, by_period_sd = _daily_noise(
            residual, gap, period, sd.item(), phi.item(), period_sd.item()
        )
        return (
            np.asarray(density),
            by_residual,
            np.asarray(by_sd),
            np.asarray(by_phi),
            np.asarray(by_period_sd),
        )

    return run, VERSION


def fading(jump: Tensor, wait: Tensor, age: Tensor, segment: Tensor, half_life: Tensor) -> Tensor:
    """(n, K) what is left of all changes of target before each rated day."""
    return Fading()(jump, wait, age, segment, half_life)[0]


def daily_noise(
    residual: Tensor, gap: Tensor, period: Tensor, sd: Tensor, phi: Tensor, period_sd: Tensor
) -> Tensor:
    """Log density of the residuals: AR(1) over gaps, and period effects integrated out."""
    return DailyNoise()(gap, period, residual, sd, phi, period_sd)[0]
