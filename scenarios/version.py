"""The version of the installed distribution, and of the JSON it prints."""

from importlib.metadata import version

SCHEMA_VERSION = 1
TWINPOOL_VERSION = version("twinpool")
