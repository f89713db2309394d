"""Ask a process whether it is well: `python -m endcap.deploy.probe http://127.0.0.1:9101/healthz`.

For health checks in a container that has no curl. The standard library alone, so that a probe every
ten seconds costs a tenth of a second, and not the import of the command line.
"""

import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4.0


def problem(url: str) -> str | None:
    """What is wrong with the answer; None where it is a 200."""
    if not url.startswith(("http://", "https://")):
        return f"{url} is no http address; write it as http://127.0.0.1:9101/healthz"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return None if answer.status == 200 else f"{url} answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read(200).decode(errors='replace')}"
    except OSError as error:
        return f"{url} does not answer ({error}); is the process up, with this port?"


def main() -> None:
    """Exit code 0 where it is well, else 1 and the reason."""
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m endcap.deploy.probe URL")
    if (wrong := problem(sys.argv[1])) is not None:
        sys.exit(wrong)


if __name__ == "__main__":
    main()
