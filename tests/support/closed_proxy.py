"""A proxy that refuses everything and notes what it was asked, as a company's would for 127.0.0.1."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def closed_proxy() -> Iterator[tuple[dict[str, str], list[str]]]:
    """The environment variables that name the proxy, and the requests that came to it so far."""
    seen: list[str] = []

    class Refuse(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            seen.append(f"{self.requestline} {self.headers.get('Authorization')}")
            self.send_error(403)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_CONNECT = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        yield dict.fromkeys(names, address), seen
        server.shutdown()
