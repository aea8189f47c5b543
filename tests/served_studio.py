"""A studio that is really served, on a free port of this machine, in a thread of this process."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from sfumato.serving.desk import Desk, open_desk
from sfumato.serving.server import Address, application, listening_at
from sfumato.serving.studio.look import Dressed, built_in, names
from sfumato.settings import Settings

WAIT = 60.0  # seconds for a server to open and close, on the busiest machine


@dataclass(frozen=True, eq=False)
class Served:
    """A studio that is open: where, what it works with, and who may come in."""

    desk: Desk
    address: Address

    @property
    def host(self) -> str:
        return f"{self.address.host}:{self.address.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/"


@contextmanager
def served_studio(
    settings: Settings, dressed: Dressed | None = None, password: str | None = None
) -> Generator[Served]:
    """Serve a studio with the data folder of `settings` until the block ends; again with the same folder, it
    is a studio that was closed and opened again.
    """
    address, (listening,) = listening_at(Address(port=0, password=password))
    with listening, open_desk(settings) as desk:
        app = application(desk, built_in(names()[0]) if dressed is None else dressed, address)
        quiet = {"log_level": "warning", "access_log": False, "proxy_headers": False}
        server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1, ws="none", **quiet))
        thread = threading.Thread(target=server.run, args=([listening],), name="served-studio", daemon=True)
        thread.start()
        give_up = time.monotonic() + WAIT
        while not server.started and thread.is_alive() and time.monotonic() < give_up:
            time.sleep(0.01)
        try:
            assert server.started, "the studio did not open"
            yield Served(desk, address)
        finally:
            server.should_exit = True
            thread.join(WAIT)
            assert not thread.is_alive(), "the studio did not close"


def bundled_settings(home: Path) -> Settings:
    """Return settings that draw with the bundled model and see no other, in the data folder `home`."""
    return Settings(data_dir=home, device="cpu", offline=True)
