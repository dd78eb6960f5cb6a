"""The version of the package, for whoever must name it without importing the package's front."""

__version__ = "0.2.0"
