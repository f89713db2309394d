"""endcap: real-time recommendations for retail. This package is the domain; it does no I/O."""

__version__ = "0.1.0"
