"""Whether a model fits a GPU instance type: pure arithmetic over given facts. `docs/fit.md` has the formulas."""
