"""The public names exist, and asking for help loads none of them."""

import subprocess
import sys

import pytest

import bulk_transcribe


@pytest.mark.parametrize("name", bulk_transcribe.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(bulk_transcribe, name).__doc__ or name == "VideoResult"


def test_the_list_and_the_homes_agree() -> None:
    assert sorted(bulk_transcribe._HOMES) == bulk_transcribe.__all__


def test_another_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = bulk_transcribe.Nothing


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['bulk-transcribe', '--help']\n"
        "from bulk_transcribe.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'httpx2', 'yt_dlp', 'youtube_transcript_api', 'alembic',"
        " 'starlette', 'uvicorn', 'pydantic', 'requests', 'pysubs2'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
