"""Steps from each version of the database to the next, in `versions/`.

A step is a file `NNNN_what_it_does.py` whose revision is its number and whose down revision is
the number before. The newest number is the version that this program needs.
"""

from pathlib import Path

LOCATION = Path(__file__).parent


def known_versions(location: Path = LOCATION) -> tuple[str, ...]:
    """Numbers of all steps, oldest first."""
    steps = (location / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")
    return tuple(sorted(step.name[:4] for step in steps))
