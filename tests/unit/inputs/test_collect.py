import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import AuthError, InputError, NetworkError, SourceBlockedError
from bulk_transcribe.inputs.collect import Collected, collect

A, B, C = "dQw4w9WgXcQ", "9bZkp7q19f0", "jNQXAC9IVRw"
LIST = "PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf"
OTHER_LIST = "PL" + "a" * 32
EXAMPLES = Path(__file__).parents[3] / "examples"


def video_id(number: int) -> str:
    return f"vid{number:08d}"


@dataclass
class FakeListing:
    """Lists of videos by name. A list that is an error raises it after `before` videos."""

    lists: dict[str, list[str] | Exception] = field(default_factory=dict)
    before: int = 0
    asked: list[tuple[str, int | None, date | None]] = field(default_factory=list)
    given: int = 0

    def playlist(
        self, playlist_id: str, *, limit: int | None = None, since: date | None = None
    ) -> Iterator[VideoItem]:
        self.asked.append((playlist_id, limit, since))
        found = self.lists[playlist_id]
        ids = found if isinstance(found, list) else [video_id(n) for n in range(self.before)]
        for one in ids[:limit]:
            self.given += 1
            yield VideoItem(video_id=one, title=f"title of {one}", origin=f"playlist {playlist_id}")
        if isinstance(found, Exception):
            raise found

    channel = playlist


def ids(collected: Collected) -> list[str]:
    return [item.video_id for item in collected.items]


def test_no_arguments_give_nothing() -> None:
    assert collect([]) == Collected()


def test_links_ids_files_and_standard_input_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(B)
    found = collect(
        [f"https://youtu.be/{A}", str(tmp_path / "list.txt"), "-"], stdin=io.StringIO(C)
    )
    assert [(item.video_id, item.origin) for item in found.items] == [
        (A, "argument 1"),
        (B, "list.txt:1"),
        (C, "standard input:1"),
    ]


def test_a_video_that_comes_again_is_done_once_and_keeps_all_columns(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text(f"Link,Course,Week\nyoutu.be/{A},Physics,3\n")
    two.write_text(f"Link,Week,Room\nyoutube.com/shorts/{A},4,B12\n")
    found = collect([str(one), str(two), A])
    (item,) = found.items
    assert dict(item.extra) == {"Course": "Physics", "Week": "3", "Room": "B12"}
    assert [(d.video_id, d.first_origin, d.origin) for d in found.duplicates] == [
        (A, "one.csv:2", "two.csv:2"),
        (A, "one.csv:2", "argument 3"),
    ]


def test_lists_are_expanded_and_rows_give_their_columns_to_each_video(tmp_path: Path) -> None:
    (tmp_path / "lists.csv").write_text(
        f"Course,Link\nPhysics,https://www.youtube.com/playlist?list={LIST}\n"
    )
    listing = FakeListing({LIST: [A, B], "@jawed": [C, A]})
    found = collect(
        [str(tmp_path / "lists.csv"), "https://www.youtube.com/@jawed"],
        listing=listing,
        since=date(2026, 1, 1),
    )
    assert [(i.video_id, i.origin, dict(i.extra)) for i in found.items] == [
        (A, f"playlist {LIST}", {"Course": "Physics"}),
        (B, f"playlist {LIST}", {"Course": "Physics"}),
        (C, "playlist @jawed", {}),
    ]
    assert [duplicate.video_id for duplicate in found.duplicates] == [A]
    assert listing.asked == [
        (LIST, None, date(2026, 1, 1)),
        ("@jawed", None, date(2026, 1, 1)),
    ]


def test_a_list_that_comes_again_is_asked_for_once() -> None:
    listing = FakeListing({LIST: [A]})
    found = collect([LIST, f"https://www.youtube.com/playlist?list={LIST}"], listing=listing)
    assert (ids(found), found.duplicates) == ([A], ())
    assert len(listing.asked) == 1


def test_the_limit_counts_videos_of_all_kinds_and_reading_ends_there() -> None:
    listing = FakeListing({LIST: [A, B, *map(video_id, range(1000))], "@jawed": [C]})
    found = collect([B, LIST, "@jawed", "nonsense"], listing=listing, limit=4)
    assert ids(found) == [B, A, video_id(0), video_id(1)]
    assert found.is_limited
    assert found.problems == ()
    assert listing.given == 4
    assert [name for name, _, _ in listing.asked] == [LIST]


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    found = collect([A, B], limit=3)
    assert (ids(found), found.is_limited) == ([A, B], False)
    assert ids(collect([A, B], limit=0)) == []


def test_a_list_that_fails_is_a_problem_and_the_rest_goes_on() -> None:
    listing = FakeListing({LIST: InputError("It is private.", next_step="Open it."), "@jawed": [A]})
    found = collect([LIST, "@jawed", B], listing=listing)
    assert ids(found) == [A, B]
    (problem,) = found.problems
    assert (problem.origin, problem.text) == ("argument 1", f"playlist {LIST}")
    assert (problem.message, problem.suggestion) == ("It is private.", "Open it.")


def test_a_list_that_breaks_off_keeps_what_came_and_says_how_far() -> None:
    found = collect([LIST], listing=FakeListing({LIST: NetworkError("No answer.")}, before=3))
    assert len(found.items) == 3
    (problem,) = found.problems
    assert problem.message == "Only the first 3 videos could be listed: No answer."
    assert "later" in problem.suggestion


def test_a_list_that_breaks_off_is_read_again_and_goes_on_where_it_was() -> None:
    listing = FakeListing({LIST: NetworkError("No answer.", retry_after_s=500.0)}, before=3)
    waited: list[float] = []

    def wait(pause_s: float) -> None:
        waited.append(pause_s)
        listing.lists[LIST] = [video_id(number) for number in range(5)]

    found = collect([LIST], listing=listing, wait=wait)
    assert ids(found) == [video_id(number) for number in range(5)]
    assert (found.problems, found.duplicates) == ((), ())
    assert waited == [60.0]


def test_a_list_that_goes_on_breaking_off_is_a_problem_after_three_tries() -> None:
    listing = FakeListing({LIST: NetworkError("No answer.")}, before=3)
    waited: list[float] = []
    found = collect([LIST], listing=listing, wait=waited.append)
    assert (len(found.items), found.duplicates) == (3, ())
    assert "first 3 videos" in found.problems[0].message
    assert (waited, len(listing.asked)) == ([2.0, 8.0], 3)


def test_after_a_block_no_further_list_is_asked_for() -> None:
    blocked = SourceBlockedError("Too many requests.", source="youtube")
    listing = FakeListing({LIST: blocked, OTHER_LIST: [A]})
    found = collect([LIST, OTHER_LIST, B], listing=listing)
    assert ids(found) == [B]
    assert [problem.text for problem in found.problems] == [
        f"playlist {LIST}",
        f"playlist {OTHER_LIST}",
    ]
    assert len(listing.asked) == 1


def test_a_wrong_key_is_not_a_problem_of_one_list() -> None:
    with pytest.raises(AuthError):
        collect([A, LIST], listing=FakeListing({LIST: AuthError("Wrong key.")}))


def test_without_a_listing_a_list_is_a_problem() -> None:
    found = collect([LIST, A])
    assert ids(found) == [A]
    assert "cannot be listed" in found.problems[0].message


def test_a_playlist_can_be_preferred_to_the_video() -> None:
    link = f"https://www.youtube.com/watch?v={A}&list={LIST}"
    assert ids(collect([link])) == [A]
    listing = FakeListing({LIST: [B, C]})
    assert ids(collect([link], listing=listing, prefer="playlist")) == [B, C]
    stdin = io.StringIO(f"see {link} (all)")
    listing = FakeListing({LIST: [B, C]})
    assert ids(collect(["-"], stdin=stdin, listing=listing, prefer="playlist")) == [B, C]


def test_an_id_comes_before_a_file_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / A).write_text(B)
    (tmp_path / "documentary.txt").write_text(B)
    assert ids(collect([A, "documentary.txt"])) == [A, B]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("missing.txt", "There is no file 'missing.txt'"),
        ("folder/missing.XLSX", "There is no file"),
        ("talk", "neither a YouTube link, nor a video id, nor a file"),
        ("documentary", "looks like a word"),
        ("htp://youtu.be/x.txt", "begins with htp://"),
        ("https://example.com/list.csv", "is not YouTube"),
        ("dQw4w9WgXc", "has 10 characters"),
        (".", "is a folder"),
        ("", "neither"),
        ("a\0b.txt", "There is no file"),
        ("x" * 3000, "neither"),
    ],
)
def test_an_argument_that_is_nothing_is_a_problem_that_says_so(argument: str, says: str) -> None:
    found = collect([argument, A])
    (problem,) = found.problems
    assert says in problem.message
    assert (problem.origin, problem.line) == ("argument 1", None)
    assert ids(found) == [A]


def test_strict_raises_the_first_problem_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{A}\n{B}\nnonsense here\nmore\n")
    with pytest.raises(InputError, match=r"list\.txt, line 3: 'nonsense here'"):
        collect([str(tmp_path / "list.txt")], strict=True)
    with pytest.raises(InputError, match="There is no file"):
        collect(["missing.csv"], strict=True)
    with pytest.raises(NetworkError):
        collect([LIST], listing=FakeListing({LIST: NetworkError("No answer.")}), strict=True)
    with pytest.raises(InputError, match="It is private"):
        collect([LIST], listing=FakeListing({LIST: InputError("It is private.")}), strict=True)


def test_standard_input_that_is_not_there_is_a_problem() -> None:
    assert "no standard input" in collect(["-"]).problems[0].message


def test_progress_is_told_now_and_then_and_at_the_end() -> None:
    told: list[tuple[str, int]] = []
    listing = FakeListing({LIST: [video_id(n) for n in range(120)]})
    collect([LIST, A], listing=listing, on_progress=lambda what, done: told.append((what, done)))
    name = f"playlist {LIST}"
    assert told == [(name, 50), (name, 100), (LIST, 120), (A, 121)]


def test_the_good_example_lists_have_no_problem() -> None:
    found = collect([str(EXAMPLES / "videos.txt")])
    assert (len(found.items), found.problems, found.duplicates) == (13, (), ())
    found = collect([str(EXAMPLES / "videos.csv")])
    assert (len(found.items), found.problems, found.duplicates) == (7, (), ())
    assert {name for item in found.items for name in item.extra} == {"Course", "Week", "Notes"}


def test_each_bad_line_of_the_bad_example_is_reported_and_each_good_one_is_read() -> None:
    path = EXAMPLES / "bad-links.txt"
    lines = path.read_text().splitlines()
    asking = {n for n, line in enumerate(lines, 1) if line and not line.startswith("#")}
    found = collect([str(path)])
    good = {int(item.origin.rpartition(":")[2]) for item in found.items}
    bad = {problem.line for problem in found.problems}
    assert ids(found) == [C, A, B, "kJQP7kiw5Fk", "iG9CE55wbtY", "qp0HIF3SfI4"]
    assert good | bad == asking
    assert not good & bad
    assert len(found.problems) == len(bad) > 25
    assert all(problem.message and problem.suggestion for problem in found.problems)


@given(st.lists(st.integers(0, 20)), st.integers(0, 25) | st.none())
def test_each_video_is_collected_once_in_the_order_of_its_first_mention(
    numbers: list[int], limit: int | None
) -> None:
    found = collect([video_id(number) for number in numbers], limit=limit)
    assert ids(found) == [video_id(number) for number in dict.fromkeys(numbers)][:limit]
    if limit is None:
        assert len(found.items) + len(found.duplicates) == len(numbers)


@pytest.mark.parametrize("make", [lambda n: f"https://youtu.be/{video_id(n)}", video_id])
def test_a_long_list_with_every_video_twice_takes_no_time(
    make: Callable[[int], str], tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("\n".join([make(n) for n in range(3000)] * 2))
    found = collect([str(tmp_path / "list.txt")])
    assert (len(found.items), len(found.duplicates)) == (3000, 3000)


def test_each_argument_may_have_a_column_of_its_own(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text(f"first,second\nhttps://youtu.be/{A},https://youtu.be/{B}\n")
    two.write_text(f"link,other\nhttps://youtu.be/{C},https://youtu.be/{B}\n")
    found = collect([str(one), str(two)], columns={str(one): "second"})
    assert ids(found) == [B, C]


def test_a_wrong_file_is_given_up_after_so_many_problems() -> None:
    lines = "not a link\n" * 4
    assert len(collect(["-"], stdin=io.StringIO(lines), most_problems=4).problems) == 4
    with pytest.raises(InputError, match="More than 3 lines") as caught:
        collect(["-"], stdin=io.StringIO(lines), most_problems=3)
    assert caught.value.code == "too_many_problems"
