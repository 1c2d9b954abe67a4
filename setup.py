"""Installation; every setting stands in pyproject.toml."""

from setuptools import setup

setup()
