"""`demo` and `simulate`: the whole program without a key, a network or a cent."""

import signal
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

from bulk_transcribe.cli import work
from bulk_transcribe.cli.ports import try_to_listen
from bulk_transcribe.cli.text import note, print_json
from bulk_transcribe.config import FORMATS, load
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.errors import ConfigError
from bulk_transcribe.simulator import Faults, Simulator, SimulatorConfig, serve

_DONE = 0


def run(
    inputs: tuple[str, ...],
    *,
    out: Path,
    concurrency: str,
    speed: float,
    as_json: bool,
    quiet: bool,
) -> int:
    """Transcribe the example list, or other links, against the embedded simulator."""
    look = work.Look(as_json=as_json, quiet=quiet)
    clock = SystemClock(speed, anchor_now=True)
    with (
        tempfile.TemporaryDirectory(prefix="bulk-transcribe-demo-") as home,
        Simulator(SimulatorConfig(clock_speed=speed), clock=clock) as simulator,
    ):
        flags = {"home": Path(home), "out": out, "formats": FORMATS, "max_concurrent": concurrency}
        environ = simulator.environment() | {"BULK_TRANSCRIBE_CLOCK_SPEED": str(speed)}
        settings = load(flags, environ, Path(home)).settings
        if not (as_json or quiet):
            note(
                f"A simulated YouTube and deAPI on this machine, {speed:g} times faster than life. "
                "Nothing leaves it, nothing is paid; the words are made up."
            )
        request = work.InputRequest(arguments=inputs or (str(example_list()),))
        return work.run(settings, request, look, name="demo", clock=clock)


def example_list() -> Path:
    """The list of links that comes with the program, in a wheel as in a checkout."""
    packaged = Path(str(files("bulk_transcribe").joinpath("examples", "videos.txt")))
    return packaged if packaged.is_file() else Path(__file__).parents[3] / "examples" / "videos.txt"


def simulate(
    *, port: int, fields: Mapping[str, Any], faults: tuple[str, ...], as_json: bool
) -> int:
    """Serve until Ctrl-C, then show what was counted."""
    config = _config(fields)
    try_to_listen("The simulator", "127.0.0.1", port)
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)

    def ready(simulator: Simulator) -> None:
        if as_json:
            print_json({"url": simulator.url, "environment": simulator.environment()})
            return
        print(f"Serving a simulated YouTube and deAPI on {simulator.url}. Ctrl-C ends it.")
        print("In another terminal:")
        for name, value in simulator.environment().items():
            print(f"export {name}='{value}'", flush=True)

    serve(config, port=port, faults=_faults(faults), on_ready=ready, stop=stop)
    return _DONE


def _config(given: Mapping[str, Any]) -> SimulatorConfig:
    values = dict(given)
    try:
        values["balance_usd"] = Decimal(str(values["balance_usd"]))
    except ArithmeticError as error:
        raise ConfigError(
            f"--balance {values['balance_usd']!r} is no amount of US dollars, such as 5.00."
        ) from error
    try:
        return SimulatorConfig(**values)
    except (ValueError, ArithmeticError) as error:
        raise ConfigError(f"The simulator cannot be set up: {error}.") from error


def _faults(given: tuple[str, ...]) -> Faults:
    """Faults from NAME=VALUE words.

    Raises:
        ConfigError: there is no such fault, or the value does not fit.
    """
    known = {each.name for each in fields(Faults)}
    values: dict[str, Any] = {}
    for word in given:
        name, _, text = word.partition("=")
        if name not in known or not text:
            raise ConfigError(
                f"--fault {word!r} is not known.",
                next_step=f"Use NAME=VALUE with one of: {', '.join(sorted(known))}.",
            )
        values[name] = _value(text)
    try:
        return Faults(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--fault: {error}.") from error


def _value(text: str) -> Any:  # a fault is a switch, a number or a word
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
