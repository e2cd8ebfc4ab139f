"""Lets `import workers` find the processes: beside this package in a checkout, inside it where a wheel has put them.

A wheel puts nothing beside `oxidicom`: there a package `workers` of somebody else may stand, since the name says
little. So it is not looked for on sys.path.
"""

import importlib.util
import os
import sys

_NAME = "workers"


def find_processes() -> None:
    """Let `import workers` mean ours, whatever else has that name. Raise FileNotFoundError when it is not there."""
    place = _place()
    if list(getattr(sys.modules.get(_NAME), "__path__", ())) == [place]:
        return
    specification = importlib.util.spec_from_file_location(
        _NAME, os.path.join(place, "__init__.py"), submodule_search_locations=[place]
    )
    assert specification
    assert specification.loader
    package = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(package)
    sys.modules[_NAME] = package


def _place() -> str:
    library = os.path.dirname(os.path.abspath(__file__))
    inside = os.path.join(library, _NAME)
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(library), _NAME)
