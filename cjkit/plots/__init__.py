"""Drawing primitives. They take plain values and Axes, and know nothing of journeys."""
