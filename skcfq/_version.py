"""The version of the library, where every room may read it."""

__version__ = "0.1.0.dev0"
