"""PyMC models compiled once for every patient, and kept on disk in machine code.

nutpie samples through two C functions, which numba compiles: the density with its gradient,
and the mapping from the sampler's coordinates to the parameters. nutpie writes them as
closures with names drawn at random, which numba's cache on disk never recognizes: half a
minute for every process. Here the same two functions are written as text that depends on the
model only, and PyTensor's cache (``base_compiledir``) keeps them; a process reads them in
well under a second and needs neither the compiler's time nor its memory.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numba
import numpy as np
import pymc as pm
from numba import types
from numpy.typing import NDArray
from nutpie import compile_pymc as of_nutpie
from pymc.initial_point import make_initial_point_fn
from pytensor.link.numba.cache import compile_numba_function_src

from models.cache import check_files
from models.versions import fingerprint

check_files()

# Numba compiles these two; it knows no narrower "except". A code tells nutpie what went wrong.
DENSITY = """
def density(dim, x_, out_, density_, data_):
    x = carray(x_, ({size},))
    out = carray(out_, ({size},))
    words = carray(data_, ({words},), uint64)
    try:
        value, gradient = inner(x{arguments})
    except Exception:
        return 1
    density_[0] = value.item()
    for i in range({size}):
        out[i] = gradient[i]
        if not isfinite(out[i]):
            return 3
    return 0 if isfinite(density_[0]) else 4
"""
EXPANSION = """
def expansion(dim, expanded, x_, out_, data_):
    x = carray(x_, ({size},))
    words = carray(data_, ({words},), uint64)
    try:
        (values,) = inner(x{arguments})
    except Exception:
        return -2
    for i in range({expanded}):
        out_[i] = values[i]
    return 0
"""
_NUMBERS = types.CPointer(types.double)
_OF_DENSITY = types.int64(types.uint64, _NUMBERS, _NUMBERS, _NUMBERS, types.voidptr)
_OF_EXPANSION = types.int64(types.uint64, types.uint64, _NUMBERS, _NUMBERS, types.voidptr)


def compile_model(model: pm.Model, name: str, keep: Sequence[str]) -> of_nutpie.CompiledPyMCModel:
    """Compile a model, or read it from the cache on disk if it has been compiled before.

    Args:
        model: whose numbers, all of them data containers, ``with_data`` replaces later.
        name: says all that changes its graph, beside the text of this package.
        keep: names of the variables whose draws are kept.
    """
    start = _one_at_a_time(
        make_initial_point_fn(
            model=model, jitter_rvs=set(model.free_RVs), default_strategy="support_point"
        )
    )
    size, expanded, density, expansion, begin, variables, transformed = of_nutpie._make_functions(  # noqa: SLF001
        model,
        mode="NUMBA",
        compute_grad=True,
        join_expanded=True,
        pymc_initial_point_fn=start,
        var_names=keep,
    )
    containers = {var.name: var for fn in (density, expansion) for var in fn.get_shared()}
    numbers = {key: np.array(var.get_value(), order="C") for key, var in containers.items()}
    user_data = of_nutpie.make_user_data({var: key for key, var in containers.items()}, numbers)
    key = f"{name} {keep} {fingerprint()}"

    def function(text: str, inner: Any, signature: Any) -> Any:
        arguments = _arguments(numbers, [var.name for var in inner.get_shared()])
        words = user_data.dtype.itemsize // 8
        text = text.format(size=size, expanded=expanded, words=words, arguments=arguments)
        return _compiled(text, inner.vm.jit_fn, signature, key)

    dims, coords = of_nutpie._prepare_dims_and_coords(model, variables, transformed)  # noqa: SLF001
    return of_nutpie.CompiledPyMCModel(
        _n_dim=size,
        n_expanded=expanded,
        dims=dims,
        _coords=coords,
        _shapes={var: tuple(shape) for var, _, shape in zip(*variables, strict=True)},
        compiled_logp_func=function(DENSITY, density, _OF_DENSITY),
        compiled_expand_func=function(EXPANSION, expansion, _OF_EXPANSION),
        initial_point_func=begin,
        shared_data=numbers,
        shared_var_keys={var: name for name, var in containers.items()},
        user_data=user_data,
        shape_info=variables,
        logp_func=density,
        expand_func=expansion,
        reparameterized_names=transformed,
    )


def _one_at_a_time[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """PyTensor's functions keep their inputs in themselves, and every chain is a thread."""
    lock = threading.Lock()

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with lock:
            return function(*args, **kwargs)

    return wrapper


def _arguments(numbers: Mapping[str, NDArray[np.generic]], wanted: Sequence[str]) -> str:
    """Return the text that reads the wanted containers from nutpie's record.

    The record holds 8-byte words: the address of each container, then the size of each, then
    the shape of each.
    """
    shapes = [array.ndim for array in numbers.values()]
    first = dict(zip(numbers, accumulate(shapes, initial=2 * len(numbers)), strict=False))
    place = {name: word for word, name in enumerate(numbers)}
    text = ""
    for name in wanted:
        axes = (f"int64(words[{first[name] + axis}])" for axis in range(numbers[name].ndim))
        shape = f"({''.join(axis + ', ' for axis in axes)})"
        text += f", carray(pointer(words[{place[name]}]), {shape}, {numbers[name].dtype})"
    return text


def _compiled(text: str, inner: Any, signature: Any, key: str) -> Any:
    """Compile a C function around ``inner``, or read it from the cache."""
    known = {
        "__name__": __name__,  # numba looks for it when it reads the function from disk
        "inner": inner,
        "carray": numba.carray,
        "pointer": of_nutpie.address_as_void_pointer,
        "isfinite": np.isfinite,
        **{name: getattr(types, name) for name in ("uint64", "int64", "int32", "float64")},
    }
    name = text.split("(", maxsplit=1)[0].removeprefix("\ndef ")
    digest = hashlib.sha256(f"{text} {key}".encode()).hexdigest()
    function = compile_numba_function_src(text, name, known, cache_key=digest)
    return numba.cfunc(signature, cache=True)(function)
