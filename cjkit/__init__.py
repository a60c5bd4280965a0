"""cjkit: a Jupyter notebook analysis kit for customer journeys."""

__version__ = "0.1.0"
