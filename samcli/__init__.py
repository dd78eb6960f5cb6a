"""`sam` listens to folders of sound and writes down what it hears: captions, tags, answers.

The Python interface is `samcli.load(name)` and `samcli.run(paths, task)`. It is imported when it is first used, because
the command line must answer before torch could even be found.
"""

from typing import TYPE_CHECKING, Any

from samcli._version import __version__

__sound__ = True  # tells this package from another that carries its name; see launcher.py

if TYPE_CHECKING:
    from samcli.api import Sam, load, run, to_pandas
    from samcli.records import Record, Tag

__all__ = ["Record", "Sam", "Tag", "__version__", "load", "run", "to_pandas"]


def __getattr__(name: str) -> Any:
    if name in ("Sam", "load", "run", "to_pandas"):
        from samcli import api

        return getattr(api, name)
    if name in ("Record", "Tag"):
        from samcli import records

        return getattr(records, name)
    raise AttributeError(f"module 'samcli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
