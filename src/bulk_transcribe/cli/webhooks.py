"""The command `webhooks`: the receiver alone, until Ctrl-C."""

import signal
import threading
from dataclasses import asdict
from types import FrameType

from bulk_transcribe.app import App
from bulk_transcribe.app.webhooks import Deliveries, Receiver
from bulk_transcribe.cli import logs
from bulk_transcribe.cli.text import note, print_json
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.errors import ConfigError

_DONE = 0


def run(settings: Settings, *, as_json: bool) -> int:
    """Receive until Ctrl-C, then say what came; the exit code.

    Raises:
        ConfigError: webhooks are not set up, or nobody can listen there.
    """
    if not settings.webhook_url:
        raise ConfigError(
            "Webhooks are not set up.",
            next_step="Set BULK_TRANSCRIBE_WEBHOOK_URL and BULK_TRANSCRIBE_WEBHOOK_SECRET.",
            code="no_webhooks",
        )
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    logs.start(settings)
    try:
        clock = SystemClock(settings.clock_speed)
        with App(settings, clock=clock) as app:
            deliveries = Deliveries(app.told, settings.webhook_secret, clock)
            with Receiver(deliveries, settings.webhook_address) as receiver:
                host, port = receiver.address
                if as_json:
                    print_json({"listening": f"{host}:{port}", "url": settings.webhook_url})
                else:
                    note(f"Receiving {settings.webhook_url} on {host}:{port}. Ctrl-C ends it.")
                stop.wait()
        if as_json:
            print_json(asdict(deliveries.received))
        else:
            found = asdict(deliveries.received)
            note(", ".join(f"{number} {word}" for word, number in found.items()))
        return _DONE
    finally:
        logs.stop()
