"""Reports: results shown in notebooks, notebooks run headlessly, pages that anyone can read.

Here stands what a notebook uses. `report.run` runs the notebooks of a project and publishes their
pages; it is imported where that is asked for, since its tool chain takes seconds to load.
"""

from cjkit.report.explore import explore
from cjkit.report.show import headline, show

__all__ = ["explore", "headline", "show"]
