"""The sample company: a made-up Japanese retailer whose true stories are known.

`make_sample` writes what the company's systems would export over two years, with the dirt that
such files have, and beside it the truth that analyses should find again.
"""

from cjkit.synthetic.company import Sample, estimate_bytes, make_sample

__all__ = ["Sample", "estimate_bytes", "make_sample"]
