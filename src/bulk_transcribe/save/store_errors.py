"""What the database library raises, in plain words with a next step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy import exc

from bulk_transcribe.errors import StoreError

#: A transaction that was lost with its connection is begun anew so many times.
_TRIES = 5

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ConflictError(StoreError):
    """A unique guard of the database refused a row: somebody was there first."""

    default_code = "conflict"


class LostError(StoreError):
    """The connection was lost within a transaction, and certainly nothing of it was written."""

    default_code = "store_lost"


@contextmanager
def plain_errors(
    place: str, explain: Callable[[exc.SQLAlchemyError], StoreError]
) -> Iterator[None]:
    """Turn what the database library raises into `StoreError` with a next step.

    Args:
        place: The database, as people know it.
        explain: Knows the errors of this kind of database.
    """
    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError(f"The database {place} refused a row: {told(error)}.") from _bare(error)
    except (exc.DBAPIError, exc.TimeoutError) as error:
        raise explain(error) from _bare(error)


def _bare(error: exc.SQLAlchemyError) -> Exception:
    """The error for a traceback; PostgreSQL quotes the whole row in the details of its own."""
    origin = error.orig if isinstance(error, exc.DBAPIError) else error
    if getattr(getattr(origin, "diag", None), "message_detail", None) is None:
        return error
    return RuntimeError(f"{type(origin).__name__}: {told(error)}").with_traceback(
        error.__traceback__
    )


def told(error: exc.SQLAlchemyError) -> str:
    """What the driver said, without the values of the row."""
    origin = error.orig if isinstance(error, exc.DBAPIError) else error
    primary = getattr(getattr(origin, "diag", None), "message_primary", None)
    return str(primary or origin or error).strip().rstrip(".")


def outlasting(work: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function of one transaction that is done again where the connection was lost within it.

    For functions that change nothing but the database: what was lost was certainly not written,
    so doing it again does it once. Waiting for a server that starts anew is the transaction's
    own affair.
    """

    @wraps(work)
    def again(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for _ in range(_TRIES - 1):
            try:
                return work(*args, **kwargs)
            except LostError:
                continue
        return work(*args, **kwargs)

    return again
