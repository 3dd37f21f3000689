"""Draws kept as netCDF, with all that is known of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from models.posterior import Diagnostics, Engine, Posterior

type Floats = NDArray[np.float64]


def save_draws(path: Path, posterior: Posterior) -> None:
    """Write the draws and all that is known of them as netCDF.

    Group-free and plain: variables ``arm_mean`` (draw, arm) and one per parameter (draw);
    the diagnostics are attributes. Any netCDF reader opens it.
    """
    variables: dict[str, tuple[tuple[str, ...], Floats]] = {
        "arm_mean": (("draw", "arm"), posterior.arm_mean),
        **{name: (("draw",), values) for name, values in posterior.parameters.items()},
    }
    known = {k: v for k, v in asdict(posterior.diagnostics).items() if v is not None}
    dataset = xr.Dataset(
        variables,
        coords={"arm": list(posterior.arms)},
        attrs={
            "engine": posterior.engine.value,
            "seed": posterior.seed,
            "seconds": posterior.seconds,
            **{f"diagnostics_{name}": value for name, value in known.items()},
        },
    )
    dataset.to_netcdf(path, engine="h5netcdf")


def load_draws(path: Path) -> Posterior:
    """Read what :func:`save_draws` wrote."""
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        parameters = {
            str(name): np.array(values)
            for name, values in dataset.data_vars.items()
            if name != "arm_mean"
        }
        known = {
            str(name).removeprefix("diagnostics_"): np.asarray(value).item()
            for name, value in dataset.attrs.items()
            if str(name).startswith("diagnostics_")
        }
        return Posterior(
            arms=tuple(str(label) for label in dataset["arm"].to_numpy()),
            arm_mean=np.array(dataset["arm_mean"]),
            parameters=parameters,
            engine=Engine(dataset.attrs["engine"]),
            seed=int(dataset.attrs["seed"]),
            diagnostics=Diagnostics(**known),
            seconds=float(dataset.attrs["seconds"]),
        )
