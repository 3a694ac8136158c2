"""Column types: moments, money and words, stored so that nothing is lost on the way."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcMoment(TypeDecorator[datetime]):
    """An aware moment in UTC.

    SQLite knows no moments: there it is ISO 8601 text of one fixed length, which sorts as time.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        plain = String(32) if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(plain)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment in the store needs a time zone, {value!r} has none")
        in_utc = value.astimezone(UTC)
        return in_utc.isoformat(timespec="microseconds") if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def storable(text: str) -> str:
    """The text with "?" for what no database takes: halves of characters, and NUL."""
    whole = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace("\0", "?")


class Words(TypeDecorator[str]):
    """Text from outside, as `storable`.

    Halves of characters come from file names in another encoding and from cut JSON.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else storable(value)


class Dollars(TypeDecorator[Decimal]):
    """US dollars, exact: decimal text. Sums are made in Python; SQL would add floats."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        del dialect
        if value is None:
            return None
        if not value.is_finite():
            raise ValueError(f"{value} is not an amount of money")
        return str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        del dialect
        return None if value is None else Decimal(value)
