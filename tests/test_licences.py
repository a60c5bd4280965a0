"""What cjkit stands on: permissive licences only, every package pinned, nothing left out."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
REFUSED = re.compile(r"\b(A?L?GPL|GNU|Affero|Lesser General|non-?commercial|CC[- ]BY-NC)", re.I)


def pinned():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(one.name): one for one in found}


def licence(package):
    metadata = package.metadata
    told = [metadata.get("License-Expression") or "", (metadata.get("License") or "")[:200]]
    told += [line for line in metadata.get_all("Classifier") or [] if line.startswith("License")]
    return " | ".join(told)


@pytest.mark.parametrize("name", sorted(pinned()))
def test_each_package_is_installed_as_pinned_and_free_of_copyleft(name):
    package = distribution(name)
    assert str(next(iter(pinned()[name].specifier))) == f"=={package.version}"
    told = licence(package)
    permissive_too = re.search(r"\b(OR|or)\b", told) and re.search(r"MIT|BSD|Apache", told)
    assert not REFUSED.search(told) or permissive_too, told


def test_every_package_that_is_needed_is_pinned():
    """Whatever a pinned package needs here stands in requirements.txt too."""
    pins = pinned()
    for name, one in pins.items():
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            extras = one.extras or {""}
            if needed.marker and not any(needed.marker.evaluate({"extra": e}) for e in extras):
                continue
            assert canonicalize_name(needed.name) in pins, f"{name} needs {needed.name}"


def test_every_declared_dependency_is_pinned_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["test"]]:
        one = Requirement(line)
        try:
            found = distribution(one.name).version
        except PackageNotFoundError:
            pytest.fail(f"{one.name} is declared and not installed")
        assert one.specifier.contains(found), line
        assert canonicalize_name(one.name) in pinned(), line
