"""The project file, `journey.toml`: all that is particular to one company, checked before a run.

`data/sample/journey.toml` is the worked example of every section.
"""

from cjkit.project.activation import Activation, Content, HoldOut, Quiet
from cjkit.project.gate import Likeness, Namespace, QualityRule
from cjkit.project.reading import DIMENSIONS, Project, read_project
from cjkit.project.sections import (
    DeclaredSegment,
    Persona,
    Source,
    Touchpoint,
)
from cjkit.project.steps import Step

__all__ = [
    "DIMENSIONS",
    "Activation",
    "Content",
    "DeclaredSegment",
    "HoldOut",
    "Likeness",
    "Namespace",
    "Persona",
    "Project",
    "QualityRule",
    "Quiet",
    "Source",
    "Step",
    "Touchpoint",
    "read_project",
]
