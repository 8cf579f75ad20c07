"""Column types and SQL expressions that read the same on SQLite and Postgres."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from deerflow.domain.text import without_nul

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time to the microsecond: ``timestamptz`` on Postgres, on SQLite microseconds since 1970."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Choose the column's native type."""
        native = sa.TIMESTAMP(timezone=True) if dialect.name == "postgresql" else sa.BigInteger()
        return dialect.type_descriptor(native)

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Store an aware time."""
        if value is None or dialect.name == "postgresql":
            return value
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return it aware, in UTC."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)  # type: ignore[no-any-return]
        return _EPOCH + timedelta(microseconds=value)


Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
"""JSON, where None is SQL's NULL."""


class now(FunctionElement[datetime]):  # noqa: N801 - reads as a function in queries
    """The database's clock at this statement. *offset_seconds* may be negative."""

    type = UtcTime()
    inherit_cache = True

    def __init__(self, offset_seconds: float | sa.ColumnElement[float] = 0.0) -> None:
        given = isinstance(offset_seconds, sa.ColumnElement)
        super().__init__(offset_seconds if given else sa.literal(offset_seconds, sa.Float))


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **kw: Any) -> str:
    # now_us is registered on every connection: see database.py
    return f"now_us({compiler.process(element.clauses, **kw)})"


@compiles(now, "postgresql")
def _now_postgres(element: now, compiler: Any, **kw: Any) -> str:
    offset = compiler.process(element.clauses, **kw)
    return f"(clock_timestamp() + make_interval(secs => CAST({offset} AS double precision)))"


class epoch_ms(FunctionElement[int]):  # noqa: N801 - reads as a function in queries
    """The database's clock as whole milliseconds since 1970."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(epoch_ms, "sqlite")
def _epoch_ms_sqlite(_element: epoch_ms, _compiler: Any, **_kw: Any) -> str:
    return "(now_us(0.0) / 1000)"


@compiles(epoch_ms, "postgresql")
def _epoch_ms_postgres(_element: epoch_ms, _compiler: Any, **_kw: Any) -> str:
    return "CAST(extract(epoch from clock_timestamp()) * 1000 AS bigint)"


class contains(FunctionElement[bool]):  # noqa: N801 - reads as a function in queries
    """Whether a JSON column holds a value, as Postgres's ``@>``: objects may have more keys, lists more elements."""

    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], value: Any) -> None:
        super().__init__(column, sa.literal(dump_json(value), sa.Text))


@compiles(contains, "sqlite")
def _contains_sqlite(element: contains, compiler: Any, **kw: Any) -> str:
    return f"json_contains({compiler.process(element.clauses, **kw)})"  # registered as now_us is


@compiles(contains, "postgresql")
def _contains_postgres(element: contains, compiler: Any, **kw: Any) -> str:
    column, value = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} @> CAST({value} AS JSONB))"


class has_text(FunctionElement[bool]):  # noqa: N801 - reads as a function in queries
    """Whether a column's text has another one in it, small and capital letters alike."""

    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], text: str) -> None:
        super().__init__(column, sa.literal(text.lower(), sa.Text))


@compiles(has_text, "sqlite")
def _has_text_sqlite(element: has_text, compiler: Any, **kw: Any) -> str:
    return f"has_text({compiler.process(element.clauses, **kw)})"  # registered as now_us is


@compiles(has_text, "postgresql")
def _has_text_postgres(element: has_text, compiler: Any, **kw: Any) -> str:
    column, text = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(strpos(lower({column}), lower({text})) > 0)"


class length_at(FunctionElement[int]):  # noqa: N801 - reads as a function in queries
    """How many elements the list has that a JSON object holds under a name; NULL where there is no list."""

    type = sa.Integer()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], name: str) -> None:
        super().__init__(column, sa.literal(name, sa.Text))


@compiles(length_at, "sqlite")
def _length_at_sqlite(element: length_at, compiler: Any, **kw: Any) -> str:
    column, name = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_array_length({column}, '$.' || {name})"


@compiles(length_at, "postgresql")
def _length_at_postgres(element: length_at, compiler: Any, **kw: Any) -> str:
    column, name = (compiler.process(clause, **kw) for clause in element.clauses)
    held = f"{column} -> {name}"
    return f"(CASE WHEN jsonb_typeof({held}) = 'array' THEN jsonb_array_length({held}) END)"


class unindexed(FunctionElement[Any]):  # noqa: N801 - reads as a function in queries
    """A condition or a key to sort by without an index: SQLite, which has no statistics, takes the wrong one."""

    inherit_cache = True

    def __init__(self, element: sa.ColumnElement[Any]) -> None:
        super().__init__(element)
        self.type = element.type


@compiles(unindexed)
def _unindexed(element: unindexed, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)})"


@compiles(unindexed, "sqlite")
def _unindexed_sqlite(element: unindexed, compiler: Any, **kw: Any) -> str:
    return f"+({compiler.process(element.clauses, **kw)})"


def holds(there: Any, wanted: Any) -> bool:
    """The rule of ``contains`` for SQLite."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(k in there and holds(there[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and _all_in(there, wanted)
    return _named(there) == _named(wanted)


def _all_in(there: list[Any], wanted: list[Any]) -> bool:
    """Whether a list has all of these elements, of which only lists and objects have to be compared one by one."""
    plain = {_named(each) for each in there if not isinstance(each, list | dict)}
    nested = [each for each in there if isinstance(each, list | dict)]
    return all(
        any(holds(each, one) for each in nested) if isinstance(one, list | dict) else _named(one) in plain
        for one in wanted
    )


def _named(value: Any) -> tuple[str, Any] | None:
    """What two values have in common that are the same: all numbers are of one kind. None: an object or a list."""
    if isinstance(value, dict | list):
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__, value


def dump_json(value: Any) -> str:
    """JSON for a column. Postgres refuses NUL in text, so it becomes U+FFFD on both databases alike."""
    return without_nul(orjson.dumps(value)).decode()


def load_json(stored: Any) -> Any:
    """The value of a column. A number (a whole state may be one) SQLite keeps as such: it has no type for JSON."""
    return stored if isinstance(stored, int | float) else orjson.loads(stored)
