"""The page in the browser: where it can be opened, and until when."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import MissingDependencyError, RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import viser

    from mocapact_cli.core.viewer.session import Session
    from mocapact_cli.core.viewer.sources import Source

HOST, PORT = "127.0.0.1", 8080
"""Where the page is found unless it is said: on this machine alone."""
_LOCAL = ("127.0.0.1", "localhost", "::1")


def check_viser() -> None:
    """See that the page can be shown.

    Raises:
        MissingDependencyError: Viser is not installed.
    """
    try:
        import viser  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MissingDependencyError(
            "The package viser is not installed, which shows motions in the browser.",
            hint="pip install 'mocapact[viewer]'",
        ) from error


class View:
    """A page that is being served.

    Args:
        server: Serves it.
        session: What it shows.
        host: Address that it listens at.

    Attributes:
        url: Its address, for a browser on this machine.
        exposed: Whether other machines can open it.
        session: What it shows.
    """

    def __init__(self, server: viser.ViserServer, session: Session, host: str) -> None:
        self.session = session
        self.exposed = host not in _LOCAL
        shown = HOST if host in ("0.0.0.0", "::") else host  # noqa: S104 - it is only read here
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{server.get_port()}"
        self._stop = threading.Event()

    def run(self) -> None:
        """Play until `stop` is called."""
        self.session.run(self._stop)

    def stop(self) -> None:
        """End `run`; any thread may ask."""
        self._stop.set()

    def described(self) -> dict[str, Any]:
        """Return where it is and what it shows, as plain values."""
        source, request, take = self.session.source, self.session.request, self.session.player.take
        acting = {"act_noise": request.act_noise, "seed": request.seed} if source.live else {}
        part = {source.part_word.lower(): request.part} if source.part_word else {}
        return {
            "url": self.url,
            "kind": source.kind,
            "name": source.name,
            "motions": len(source.motions),
            "shown": {"motion": request.motion, **part, "start_step": take.first_step, "steps": take.capacity - 1}
            | acting,
        }


@contextlib.contextmanager
def serve(source: Source, *, host: str = HOST, port: int | None = None) -> Iterator[View]:
    """Serve a page for the duration of the block.

    Args:
        source: What is shown; it is closed at the end, or where it cannot be shown.
        host: Address to listen at.
        port: Where exactly; by default the next free one from `PORT` on.

    Raises:
        MissingDependencyError: Viser is not installed.
        UsageError: There is no such address.
        RunError: The port is taken, or the address is not one of this machine.
        MocapactError: The first take cannot be made.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(source.close)
        check_viser()
        from mocapact_cli.core.viewer.session import Session

        _check_address(host, port)
        server = _open(host, PORT if port is None else port, source.name)
        stack.callback(server.stop)
        session = Session(server, source)
        stack.callback(session.close)
        yield View(server, session, host)


def _check_address(host: str, port: int | None) -> None:
    """See that one can listen there; viser itself would go on looking for a thousand ports."""
    try:
        found = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind(address)
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(f"There is no address {host!r}.", hint="Leave out --host for this machine alone.") from error
    except OSError as error:
        if port is None:
            raise RunError(f"{host} is no address of this machine.", hint="Leave out --host.") from error
        raise RunError(
            f"Port {port} of {host} cannot be had: {error.strerror}.",
            hint="Leave out --port to take the next free one.",
        ) from error


def _open(host: str, port: int, name: str) -> viser.ViserServer:
    import viser

    class Server(viser.ViserServer):
        """One that never makes itself public."""

        def request_share_url(self, verbose: bool = True) -> str | None:  # noqa: ARG002 - the signature is viser's
            """Open no tunnel, whoever asks."""
            return None

    server = Server(host=host, port=port, label=f"mocapact: {name}", verbose=False)
    server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
    server.gui.main_panel.dock_right()
    server.scene.configure_default_lights(enabled=True, cast_shadow=True)
    return server
