"""Hostile values, drawn from a seed: texts, links, JSON, XML, workbooks, and damage to all of them.

Half of what is drawn is nearly right: what is wholly wrong is refused at the first look, and the
deeper code is never reached.
"""
# ruff: noqa: RUF001, E501 -- letters that look like others are the point; parts of XML are long

import io
import json
import random
import re
import string
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

CORPUS: Final = Path(__file__).with_name("corpus")

T = TypeVar("T")

_ODD_CHARACTERS: Final = (
    "\x00",
    "\x01",
    "\x07",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\xa0",
    "\xad",
    "\u061c",
    "\u200b",
    "\u200d",
    "\u200f",
    "\u202e",
    "\u2028",
    "\u2029",
    "\u2066",
    "\ufeff",
    "\ufffd",
    "\ufffe",
    "\ud800",
    "\udfff",
    "e\u0301",
    "\u0f3e" * 3,
    "ﷺ",
    "İ",
    "ß",
    "ǅ",
    "١٢",
    "𝟘",
    "💩",
    "👩‍👩‍👧‍👦",
    "\U000e0041",
    "Ａ",
    "。",
    "％",
    "．",
    "/",
    "\\",
    "..",
    ":",
    "*",
    "?",
    '"',
    "<",
    ">",
    "|",
    "'",
    "`",
    "%00",
    "%2e%2e",
    "{}",
    "${x}",
    "$(x)",
    "\r\n",
    "\n",
    "\t",
    " ",
    ".",
    "-",
    "~",
    "=",
    "@",
    "+",
    "#",
    "&",
    ";",
    ",",
)
_IDS: Final = ("jNQXAC9IVRw", "dQw4w9WgXcQ", "-_-_-_-_-_-", "AAAAAAAAAAA", "aaaaaaaaaaa", "_" * 11)
_HOSTS: Final = (
    "www.youtube.com",
    "youtube.com",
    "m.youtube.com",
    "youtu.be",
    "music.youtube.com",
    "www.youtube-nocookie.com",
    "studio.youtube.com",
    "i.ytimg.com",
    "www.google.com",
    "YOUTUBE.COM",
    "youtube.com.",
    "youtube.com.evil.example",
    "evil-youtube.com",
    "youtube.com@evil.example",
    "evil.example",
    "youtube.com%2eevil.example",
    "yоutube.com",
    "ｙｏｕｔｕｂｅ．ｃｏｍ",
    "xn--yutube-wqf.com",
    "127.0.0.1",
    "localhost",
    "169.254.169.254",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "10.0.0.1",
    "[fe80::1%25eth0]",
    "metadata.google.internal",
    "[",
    "]",
    "",
    "a" * 300,
)
_NUMBERS: Final = (
    "0",
    "-0",
    "-1",
    "1",
    "0.1",
    "1e3",
    "1e308",
    "1e309",
    "-1e309",
    "1e-400",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e9999999999999999999",
    "1e-9999999999999999999",
    "9" * 30,
    "9" * 400,
    "9" * 5000,
    "0." + "3" * 2000,
    "1E+999999999",
    "00",
    "0x10",
    "1_000",
    "2147483648",
    "18446744073709551616",
)
#: Beyond the longest answer that anybody reads.
_MOST_BYTES: Final = 40_000_000
#: Stands for a number that `json` would not write, see `render`.
_RAW: Final = "\ue000raw:"
_QUOTED_RAW: Final = re.compile(r'"(?:\ue000|\\ue000)raw:([^"]*)"')


class Mischief:
    """Draws hostile values. Same generator, same values."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def one_of(self, many: Sequence[T]) -> T:
        return self.rng.choice(many)

    def lines(self, name: str) -> list[str]:
        """The lines of a file of the corpus."""
        return (CORPUS / name).read_text(encoding="utf-8").splitlines()

    # --- text

    def text(self, most: int = 60) -> str:
        """Any text: plain, odd, long, or full of characters that mean something somewhere."""
        kind = self.rng.randrange(6)
        length = self.rng.randrange(most + 1)
        if kind == 0:
            return "".join(self.rng.choices(string.printable, k=length))
        if kind == 1:
            return "".join(chr(self.rng.randrange(0x110000)) for _ in range(length))
        if kind == 2:
            return "".join(self.rng.choices(_ODD_CHARACTERS, k=length // 3 + 1))
        if kind == 3:
            return self.one_of(_ODD_CHARACTERS) * self.one_of((1, 10, 500, 5000))
        if kind == 4:
            return self.damaged(self.one_of(self.lines("titles.txt")))
        return "".join(self.rng.choices(string.ascii_letters + " ", k=length))

    def damaged(self, text: str) -> str:
        """A text with a few places changed, repeated, cut or moved."""
        for _ in range(self.rng.randrange(4)):
            at = self.rng.randrange(len(text) + 1)
            end = min(len(text), at + self.rng.randrange(12))
            text = self.one_of(
                (
                    text[:at] + self.one_of(_ODD_CHARACTERS) + text[at:],
                    text[:at] + text[end:],
                    text[:end] + text[at:end] * self.one_of((1, 3, 50)) + text[end:],
                    text[end:] + text[:end],
                    text[:at] + self.one_of(_NUMBERS)[:50] + text[end:],
                )
            )
        return text

    def damaged_bytes(self, content: bytes) -> bytes:
        """Bytes with a few places changed; may be cut off."""
        body = bytearray(content)
        for _ in range(self.rng.randrange(6)):
            if not body:
                break
            at = self.rng.randrange(len(body))
            end = min(len(body), at + self.rng.randrange(1, 16))
            body[at:end] = self.one_of(
                (
                    b"",
                    bytes([self.rng.randrange(256)]),
                    b"\xff" * 8,
                    b"\0" * 4,
                    bytes(body[at:end]) * 3,
                )
            )
        return (
            bytes(body[: self.rng.randrange(len(body))])
            if body and self.chance(0.2)
            else bytes(body)
        )

    def encoded(self, text: str) -> bytes:
        """A text in a common or odd encoding, with or without a mark."""
        encoding = self.one_of(
            (
                "utf-8",
                "utf-8-sig",
                "utf-16",
                "utf-16-le",
                "utf-32",
                "cp1252",
                "latin-1",
                "utf-7",
                "shift_jis",
            )
        )
        return text.encode(encoding, errors=self.one_of(("ignore", "replace")))

    # --- links

    def video_id(self) -> str:
        if self.chance(0.5):
            return self.one_of(_IDS)
        return "".join(self.rng.choices(f"{string.ascii_letters}{string.digits}-_", k=11))

    def link(self) -> str:
        """Something that looks like a link, often nearly one."""
        kind = self.rng.randrange(4)
        if kind == 0:
            return self.damaged(self.one_of(self.lines("links.txt")))
        if kind == 1:
            return self.text(200)
        return self.damaged(self.address()) if kind == 2 else self.address()

    def address(self) -> str:
        """An address put together from hostile parts."""
        scheme = self.one_of(
            (
                "https://",
                "http://",
                "//",
                "",
                "HTTPS:",
                "ftp://",
                "javascript:",
                "file://",
                "https:\\\\",
            )
        )
        user = self.one_of(("", "", "", "user@", "user:word@", "youtube.com@", "@", "%40"))
        port = self.one_of(
            ("", "", "", ":443", ":80", ":8080", ":0", ":99999999999", ":-1", ":x", ":")
        )
        path = self.one_of(
            (
                "/watch?v={}",
                "/{}",
                "/shorts/{}",
                "/live/{}",
                "/embed/{}",
                "/v/{}",
                "/playlist?list=PL{}",
                "/@{}",
                "/channel/UC{}",
                "/c/{}",
                "/user/{}",
                "/redirect?q={}",
                "/attribution_link?u=/watch?v%3D{}",
                "/watch?v={}&list=RD{}",
                "/watch/{}?x=%FF%00",
                "/%2e%2e/{}",
                "?v={}",
                "#/watch?v={}",
                "/url?q=https://youtu.be/{}",
            )
        )
        what = self.one_of((self.video_id(), self.video_id(), self.text(15), self.address_part()))
        return scheme + user + self.one_of(_HOSTS) + port + path.replace("{}", what)

    def address_part(self) -> str:
        return self.one_of(
            (
                "http://127.0.0.1/",
                "//169.254.169.254/latest",
                "%2F%2Flocalhost",
                "..",
                "%00",
                "?" * 50,
                "&v=" * 300,
            )
        )

    # --- JSON

    def json_value(self, depth: int = 3) -> Any:  # noqa: PLR0911 -- one for each kind
        """Any JSON value; odd numbers are written by `render`."""
        kind = self.rng.randrange(8 if depth else 6)
        if kind == 0:
            return self.one_of((None, True, False))
        if kind == 1:
            return _RAW + self.one_of(_NUMBERS)
        if kind in (2, 3):
            return self.text(20)
        if kind == 4:
            return self.rng.randrange(-5, 100)
        if kind == 5:
            return self.link()
        if kind == 6:
            return [self.json_value(depth - 1) for _ in range(self.rng.randrange(4))]
        return {self.text(8): self.json_value(depth - 1) for _ in range(self.rng.randrange(4))}

    def warped(self, value: Any, share: float = 0.12) -> Any:
        """A value of the right shape in which some parts are wrong, missing or doubled."""
        if self.chance(share):
            return self.json_value(2)
        if isinstance(value, Mapping):
            kept = {
                k: self.warped(v, share) for k, v in value.items() if not self.chance(share / 3)
            }
            if self.chance(share / 2):
                kept[self.text(6)] = self.json_value(1)
            return kept
        if isinstance(value, list):
            many = [self.warped(v, share) for v in value if not self.chance(share / 3)]
            return many * (40 if self.chance(0.02) else self.one_of((1, 1, 1, 2)))
        return self.damaged(value) if isinstance(value, str) and self.chance(share) else value

    def render(self, value: Any) -> str:
        """JSON text, which `json` would not always call so."""
        text = json.dumps(value, ensure_ascii=self.chance(0.7))
        return _QUOTED_RAW.sub(r"\1", text)

    def body(self, template: Any) -> bytes:
        """The body of an HTTP answer: mostly a warped template, sometimes anything else."""
        kind = self.rng.randrange(20)
        if kind == 0:
            return self.one_of(
                (b"", b"null", b"[]", b"{}", b"0", b'""', b"\xff\xfe", b"\x1f\x8b\x08")
            )
        if kind == 1:
            return b"<!doctype html><html><title>502</title>" + self.text().encode(
                "utf-8", "replace"
            )
        if kind == 2:
            deep = self.one_of((100, 2_000, 100_000))
            return self.one_of((b"[" * deep, b'{"data":' * deep, b"[" * deep + b"]" * deep))
        if kind == 3:
            return self.encoded(self.text(2_000))
        whole = self.render(self.warped(template)).encode("utf-8", "replace")[:_MOST_BYTES]
        return self.damaged_bytes(whole) if kind < 7 else whole

    # --- XML and workbooks

    def xml(self, template: str) -> str:
        """XML that is nearly right, or a bomb."""
        kind = self.rng.randrange(10)
        if kind == 0:
            lol = "".join(
                f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol" * 10}">' for n in range(10)
            )
            return f'<?xml version="1.0"?><!DOCTYPE x [{lol}]><transcript><text start="0" dur="1">&l9;</text></transcript>'
        if kind == 1:
            where = self.one_of(("file:///etc/passwd", "http://127.0.0.1:9/x", "expect://id"))
            return f'<!DOCTYPE x [<!ENTITY e SYSTEM "{where}">]><transcript><text start="0" dur="1">&e;</text></transcript>'
        if kind == 2:
            deep = self.one_of((100, 5_000, 50_000))
            return "<text>" * deep + self.one_of(("", "</text>" * deep))
        if kind == 3:
            long = "A" * self.one_of((1_000, 300_000))
            return f'<transcript><text start="{long}" dur="{self.one_of(_NUMBERS)}">{long}</text></transcript>'
        if kind == 4:
            return template.replace("<text", f'<text xmlns="{self.link()}"').replace(
                '"1', f'"{self.one_of(_NUMBERS)}'
            )
        return self.damaged(template)

    def workbook(self, cells: Sequence[Sequence[str]]) -> bytes:
        """An .xlsx of these cells, with bad parts, bad sizes or bad bytes in half of the cases."""
        rows = "".join(
            f'<row r="{y}">'
            + "".join(
                f'<c r="{chr(65 + x)}{y}" t="inlineStr"><is><t>{_escaped(cell)}</t></is></c>'
                for x, cell in enumerate(row)
            )
            + "</row>"
            for y, row in enumerate(cells, start=1)
        )
        parts = {
            **_XLSX,
            "xl/worksheets/sheet1.xml": f"{_SHEET}<sheetData>{rows}</sheetData></worksheet>",
        }
        parts = self._bad_parts(parts) if self.chance(0.6) else parts
        packed = io.BytesIO()
        with zipfile.ZipFile(
            packed, "w", self.one_of((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))
        ) as archive:
            for name, content in parts.items():
                archive.writestr(name, content.encode("utf-8", "replace"))
        whole = packed.getvalue()
        return self.damaged_bytes(whole) if self.chance(0.25) else whole

    def _bad_parts(self, parts: Mapping[str, str]) -> dict[str, str]:
        name = self.one_of(sorted(parts))
        sheet = "xl/worksheets/sheet1.xml"
        bads: tuple[Callable[[], dict[str, str]], ...] = (
            lambda: {name: self.damaged(parts[name])},
            lambda: {name: self.xml(parts[name])},
            lambda: {
                sheet: parts[sheet].replace(
                    'r="A1"',
                    f'r="{self.one_of(("XFD1048576", "A0", "ZZZ9999999", "A-1", "1A", ""))}"',
                )
            },
            lambda: {
                sheet: parts[sheet].replace(
                    "</sheetData>",
                    '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>',
                )
            },
            lambda: {
                sheet: parts[sheet].replace('<row r="1">', f'<row r="{self.one_of(_NUMBERS)}">')
            },
            lambda: {
                sheet: parts[sheet].replace(
                    "inlineStr", self.one_of(("s", "b", "d", "e", "n", "str", "?"))
                )
            },
            lambda: {sheet: parts[sheet] + "\0" * 10},
            lambda: {sheet: _SHEET + "<sheetData>" + "<row>" * 20_000},
            lambda: {"xl/bomb.xml": "0" * 20_000_000},
            lambda: {f"../../{self.video_id()}.xml": "out", "/etc/x": "out"},
            lambda: {
                "xl/_rels/workbook.xml.rels": parts["xl/_rels/workbook.xml.rels"].replace(
                    "worksheets/sheet1.xml",
                    self.one_of(
                        ("../../../etc/passwd", "http://127.0.0.1:9/", "", "xl/workbook.xml")
                    ),
                )
            },
            lambda: {
                "xl/workbook.xml": parts["xl/workbook.xml"].replace(
                    "Sheet1", _escaped(self.text(20))
                )
            },
        )
        found = dict(parts) | self.one_of(bads)()
        if self.chance(0.15):
            del found[name]
        return found


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATION: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET: Final = f'<?xml version="1.0"?><worksheet xmlns="{_MAIN}" xmlns:r="{_RELATION}">'
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_XLSX: Final[Mapping[str, str]] = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_RELATION}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATION}"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_RELATION}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
