"""`doctor`: is everything there that a run needs, and if not, what to do."""

from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from bulk_transcribe.app.checks import all_checks, is_bad
from bulk_transcribe.cli.text import print_json
from bulk_transcribe.config import Settings

_DONE, _TROUBLE = 0, 1
_MARKS = {
    "ok": "[green]ok[/]  ",
    "off": "[dim]off[/] ",
    "warn": "[yellow]warn[/]",
    "fail": "[red]fail[/]",
}


def run(settings: Settings, *, as_json: bool) -> int:
    """Do all checks, show each as it is done."""
    console = Console()
    found = []
    for check in all_checks(settings):
        found.append(check)
        if not as_json:
            console.print(f"{_MARKS[check.state]} {check.name}: {escape(check.text)}")
            if check.next_step:
                console.print(f"       next: {escape(check.next_step)}", style="dim")
    if as_json:
        print_json({"ok": not is_bad(found), "checks": [asdict(check) for check in found]})
    return _TROUBLE if is_bad(found) else _DONE
