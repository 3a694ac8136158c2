"""Steps from each version of the database to the next, in `versions/`.

A step is a file `NNNN_what_it_does.py` whose revision is its number and whose down revision is
the number before. The newest number is the version that this program needs.
"""

from pathlib import Path

from sqlalchemy import Connection

from bulk_transcribe.errors import StoreError

LOCATION = Path(__file__).parent


def known_versions(location: Path = LOCATION) -> tuple[str, ...]:
    """Numbers of all steps, oldest first."""
    steps = (location / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")
    return tuple(sorted(step.name[:4] for step in steps))


def upgrade(connection: Connection, location: Path = LOCATION) -> None:
    """Apply the steps that are missing, in the transaction of the caller.

    One thread at a time: alembic keeps its state in a module.
    """
    # a third of a second to import, and needed only when something changes
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def newer(place: str, found: str, known: str) -> StoreError:
    """The database is at a step that this program does not know."""
    return StoreError(
        f"The database {place} was made by a newer version of bulk-transcribe "
        f"(step {found}; this one knows up to {known}).",
        next_step="Update bulk-transcribe, or choose another database.",
        code="newer_database",
    )


def foreign(place: str) -> StoreError:
    """The database holds something else."""
    return StoreError(
        f"The database {place} belongs to another program.",
        next_step="Choose another one for bulk-transcribe.",
        code="foreign_database",
    )
