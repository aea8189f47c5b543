"""The mathematics of sampling: schedules, sigma grids, solvers and noise. No torch, no weights, no loop."""
