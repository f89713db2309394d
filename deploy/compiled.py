"""Fail where a compiled part of the package is missing: `python -m endcap.deploy.compiled`.

An installation without a C compiler works and is slower, so setuptools says nothing. Who builds an
image wants to know.
"""

import importlib.util
import sys

PARTS = (
    "endcap.candidates.native_columns",
    "endcap.candidates.native_gather",
    "endcap.native_slates",
    "endcap.scoring.native_catalogue",
    "endcap.scoring.native_stages",
    "endcap.serving.native_rows",
    "endcap.streams.plain_events",
)


def missing() -> list[str]:
    """The modules of `PARTS` that this installation has not built."""
    return [name for name in PARTS if importlib.util.find_spec(name) is None]


def main() -> None:
    """Say what is missing, by exit code 1 too."""
    absent = missing()
    if absent:
        sys.exit(
            f"Not compiled: {', '.join(absent)}. Install a C compiler (Debian: gcc libc6-dev) and "
            "install endcap again."
        )
    print(f"All {len(PARTS)} compiled parts are there.")


if __name__ == "__main__":
    main()
