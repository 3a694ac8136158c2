"""A local server that plays deAPI and YouTube and keeps its own count of requests.

It judges the rest of the package, so it borrows nothing from it but the clock.
"""

from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.ledger import Ledger
from bulk_transcribe.simulator.server import Simulator, serve

__all__ = ["Faults", "Ledger", "Simulator", "SimulatorConfig", "serve"]
