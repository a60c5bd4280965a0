"""The project file, `journey.toml`: all that is particular to one company, checked before a run.

`data/sample/journey.toml` is the worked example of every section.
"""

from cjkit.project.reading import DIMENSIONS, Project, read_project
from cjkit.project.sections import Namespace, Source, Touchpoint

__all__ = ["DIMENSIONS", "Namespace", "Project", "Source", "Touchpoint", "read_project"]
