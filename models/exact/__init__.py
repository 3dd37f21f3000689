"""The exact engine: the posterior of one patient by integration, without a Markov chain.

Given the autocorrelation, the ratio of period to daily spread, the daily standard deviation
and the half-lives, the crossover model is linear and Gaussian, so level, arm effects, drift and
period effects are integrated in closed form (``elimination``). What remains has few dimensions:

* autocorrelation and spread ratio by Gauss-Legendre quadrature on an interval fitted to each
  trial (``surface``), the daily standard deviation by Gauss-Hermite quadrature around its
  conditional mode (``daily_sd``);
* one half-life shared by all arms by a further quadrature;
* half-lives of the arms each by importance sampling (``half_lives``), with even points, a
  proposal fitted in a pilot round and one quarter of the prior mixed in so that the weights are
  bounded. Pareto-k of the weights is reported and is a gate of its own.

Draws are stratified (``draws``): they walk through the nodes in order of their weight (each node
as often as it deserves, within one draw) with even normal deviates, and are shuffled afterwards.
Means and quantiles of n draws are therefore closer than n independent draws would be.

No trial sees another: fitting one or a thousand together gives the same draws.
"""

from models.exact.elimination import noise_precision
from models.exact.fitting import fit, fit_many
from models.exact.grid import DEFAULT_GRID, FINE_GRID, Grid

__all__ = ["DEFAULT_GRID", "FINE_GRID", "Grid", "fit", "fit_many", "noise_precision"]
