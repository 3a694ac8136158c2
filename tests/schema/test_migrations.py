"""The steps give the tables that the code knows, and a step that fails leaves no trace."""

import importlib
import pkgutil
import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.exc import ProgrammingError

import bulk_transcribe.save
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save import postgres as postgres_store
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.migrations import LOCATION, known_versions
from bulk_transcribe.save.sqlite import bring_up_to_date
from bulk_transcribe.save.tables import metadata
from tests.postgres import PostgresServer

for _module in pkgutil.iter_modules(bulk_transcribe.save.__path__):
    if _module.name.endswith("tables"):  # other modules add tables to the same metadata
        importlib.import_module(f"bulk_transcribe.save.{_module.name}")


def schema_of(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        " AND name NOT LIKE 'sqlite_%' AND name != 'alembic_version'"
    ).fetchall()
    connection.close()
    return {name: " ".join(sql.replace("\t", " ").split()) for name, sql in rows}


def steps_up_to(folder: Path, last: str) -> Path:
    """A copy of the migrations that ends with step `last`."""
    shutil.copytree(LOCATION, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for step in (folder / "versions").glob("*.py"):
        if step.name[:4] > last:
            step.unlink()
    return folder


def bad_step(location: Path) -> None:
    """Add a step that fails half-way."""
    (location / "versions" / "9000_bad.py").write_text(
        "from alembic import op\n"
        "import sqlalchemy as sa\n"
        f'revision = "9000"\ndown_revision = "{known_versions()[-1]}"\n'
        "def upgrade():\n"
        '    op.create_table("half", sa.Column("a", sa.Integer))\n'
        '    op.execute("THIS IS NO SQL")\n'
    )


def test_applied_one_by_one_they_equal_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "migrated.db"
    for version in known_versions():
        bring_up_to_date(path, location=steps_up_to(tmp_path / version, version))
    fresh = create_engine(f"sqlite:///{tmp_path / 'fresh.db'}")
    metadata.create_all(fresh)
    fresh.dispose()
    migrated, wanted = schema_of(path), schema_of(tmp_path / "fresh.db")
    assert migrated.keys() == wanted.keys()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    for name in wanted:  # conditions of indexes and AUTOINCREMENT, which the comparison skips
        for word in ("WHERE", "AUTOINCREMENT", "UNIQUE INDEX", "ON DELETE CASCADE"):
            assert (word in migrated[name]) == (word in wanted[name]), (name, word)


def test_the_steps_are_one_line_and_numbered() -> None:
    config = Config()
    config.set_main_option("script_location", str(LOCATION).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    revisions = [step.revision for step in script.walk_revisions()][::-1]
    assert tuple(revisions) == known_versions()
    assert script.get_current_head() == known_versions()[-1]


def test_the_sums_of_older_requests_are_what_they_would_have_been_kept_at(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    bring_up_to_date(path, location=steps_up_to(tmp_path / "steps", "0005"))
    connection = sqlite3.connect(path)
    rows = [
        ("s", "claimed", "0.012345", "0.02", "0.013", "t"),
        ("s", "accepted", None, "0.0200001", "0.013", "t"),
        ("s", "in_doubt", None, None, "0.5", "t"),
        ("s", "failed", None, None, None, "t"),
        ("s", "refused", None, "9", "9", "t"),
        ("s", "abandoned", None, "9", "9", None),
        ("t", "abandoned", None, "0.3", None, "t"),
    ]
    with connection:
        connection.executemany(
            "INSERT INTO submissions (session_id, video_id, source, model, language, options,"
            " intended_at, detail, owner, state, charged_usd, most_usd, quoted_usd, sent_at)"
            " VALUES (?, hex(randomblob(5)), 'deapi', 'm', '', '', 'x', '', 'o', ?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()
    bring_up_to_date(path)
    kept = sqlite3.connect(path)
    found = kept.execute("SELECT * FROM session_costs ORDER BY session_id").fetchall()
    kept.close()
    assert found == [("s", 532_346, 1), ("t", 300_000, 0)]


def test_a_step_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    bring_up_to_date(path)
    before = schema_of(path)
    location = steps_up_to(tmp_path / "steps", "9999")
    bad_step(location)
    with pytest.raises(StoreError):
        bring_up_to_date(path, location=location)
    assert schema_of(path) == before
    open_database(path).close()  # still good at the old step


def test_a_copy_is_made_before_an_existing_database_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    bring_up_to_date(path)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "INSERT INTO video_metadata (video_id, availability, live_state, source)"
            " VALUES ('kept', 'public', 'none', 't')"
        ).close()
    connection.close()
    location = steps_up_to(tmp_path / "steps", "9999")
    (location / "versions" / "9000_good.py").write_text(
        "from alembic import op\n"
        "import sqlalchemy as sa\n"
        f'revision = "9000"\ndown_revision = "{known_versions()[-1]}"\n'
        "def upgrade():\n"
        '    with op.batch_alter_table("sessions") as table:\n'
        '        table.add_column(sa.Column("more", sa.Text))\n'
        '        table.alter_column("name", new_column_name="called")\n'
    )
    bring_up_to_date(path, location=location)
    assert "called" in schema_of(path)["sessions"]
    copy = tmp_path / "store.db.before-9000"
    assert "called" not in schema_of(copy)["sessions"]
    kept = sqlite3.connect(copy)
    assert kept.execute("SELECT video_id FROM video_metadata").fetchall() == [("kept",)]
    kept.close()
    # and the program that does not know step 9000 leaves it alone
    with pytest.raises(StoreError, match="newer version") as caught:
        open_database(path)
    assert "Update" in caught.value.next_step


def test_a_new_database_needs_no_copy(tmp_path: Path) -> None:
    open_database(tmp_path / "store.db").close()
    assert [path.name for path in tmp_path.glob("*before*")] == []


def postgres_schema(server: PostgresServer, name: str) -> list[tuple[object, ...]]:
    """Columns, constraints and indexes, in the server's own words."""
    columns = server.sql(
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,"
        " column_default FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name != 'alembic_version'",
        name,
    )
    constraints = server.sql(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
        " AND conrelid::regclass::text != 'alembic_version'",
        name,
    )
    indexes = server.sql(
        "SELECT tablename, indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = 'public' AND tablename != 'alembic_version'",
        name,
    )
    return sorted(columns + constraints + indexes, key=str)


@pytest.mark.postgres
def test_on_postgresql_they_equal_the_tables_too(postgres: PostgresServer, tmp_path: Path) -> None:
    migrated, wanted = postgres.create(), postgres.create()
    url = postgres_store.read_address(postgres.url(migrated))
    for version in known_versions():
        steps = steps_up_to(tmp_path / version, version)
        postgres_store.bring_up_to_date(url, location=steps)
    fresh = create_engine(postgres_store.read_address(postgres.url(wanted)))
    metadata.create_all(fresh)
    fresh.dispose()
    assert postgres_schema(postgres, migrated) == postgres_schema(postgres, wanted)
    guard = dict(postgres.sql("SELECT indexname, indexdef FROM pg_indexes", migrated))
    assert "CREATE UNIQUE INDEX" in guard["uq_submissions_open"]  # law 3
    assert "WHERE" in guard["uq_submissions_open"]
    for name in (migrated, wanted):
        postgres.drop(name)


@pytest.mark.postgres
def test_on_postgresql_a_step_that_fails_leaves_no_trace(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    name = postgres_url.rsplit("/", 1)[1]
    before = postgres_schema(postgres, name)
    location = steps_up_to(tmp_path / "steps", "9999")
    bad_step(location)
    with pytest.raises(ProgrammingError):
        postgres_store.bring_up_to_date(
            postgres_store.read_address(postgres_url), location=location
        )
    assert postgres_schema(postgres, name) == before
    open_database(postgres_url).close()  # still good at the old step
