"""A process that opens a store, says who it is, and writes a row at each line of its input.

Run as `python -m tests.contract.postgres_child DATABASE`; it answers "written", or the code of the
error.
"""

import sys

from sqlalchemy import insert

from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.tables import video_metadata
from tests.postgres import open_quick, place_of


def main(place: str) -> None:
    with open_quick(place_of(place)) as database:
        print(database.owner_id, flush=True)  # noqa: T201 -- tells the test
        for line in sys.stdin:
            row = {"availability": "public", "live_state": "none", "source": "t"}
            try:
                with database.transaction() as connection:
                    connection.execute(insert(video_metadata).values(video_id=line.strip(), **row))
            except StoreError as error:
                print(error.code, flush=True)  # noqa: T201 -- tells the test
            else:
                print("written", flush=True)  # noqa: T201 -- tells the test


if __name__ == "__main__":
    main(sys.argv[1])
