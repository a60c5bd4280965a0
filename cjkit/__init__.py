"""cjkit: a Jupyter notebook analysis kit for customer journeys."""
