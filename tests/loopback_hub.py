"""A hub on this machine that speaks as much of huggingface.co's API as its client needs to fetch a model."""

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".ckpt")  # what is kept apart from git, with a sha256


@dataclass
class Hub:
    """Repositories by name, commits and files, and the requests that came in; `stop_after` cuts the next
    large file after so many bytes, as a network does that breaks down.
    """

    url: str = ""
    repos: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict[str, Any])
    newest: dict[str, str] = field(default_factory=dict[str, str])
    lies: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[str] = field(default_factory=list[str])
    ranges: list[str] = field(default_factory=list[str])
    stop_after: int | None = None

    def put(self, repo: str, files: dict[str, bytes], commit: str = "a" * 40) -> None:
        """Add a commit, the newest of its repository; the name of a space begins with spaces/."""
        self.repos.setdefault(repo, {})[commit] = files
        self.newest[repo] = commit

    def listing(self, repo: str, commit: str) -> dict[str, Any]:
        """Return what the API says of a commit."""
        siblings = []
        for name, data in self.repos[repo][commit].items():
            one: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": _blob(data)}
            if name.endswith(LARGE):
                digest = self.lies.get(name, hashlib.sha256(data).hexdigest())
                one["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
            siblings.append(one)
        return {"_id": "0", "id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "tags": []}


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def serving() -> Generator[Hub]:
    """Run a hub while the block lasts."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            parts = path.strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                self._api(parts[2:], body)
            elif parts[:2] == ["api", "spaces"]:
                self._api(parts[2:], body, "spaces/")
            elif "resolve" in parts:
                at = parts.index("resolve")
                self._file("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :]), body)
            else:
                self._missing("EntryNotFound", body)

        def _api(self, parts: list[str], body: bool, kind: str = "") -> None:
            repo = kind + "/".join(parts[:2])
            commit = self._commit(repo, parts[3] if parts[2:3] == ["revision"] else None)
            if commit is None:
                self._missing("RevisionNotFound" if repo in hub.repos else "RepoNotFound", body)
                return
            data = json.dumps(hub.listing(repo, commit)).encode()
            self._send(200, data, {"Content-Type": "application/json"}, body)

        def _file(self, repo: str, revision: str, name: str, body: bool) -> None:
            commit = self._commit(repo, revision)
            data = None if commit is None else hub.repos[repo][commit].get(name)
            if data is None or commit is None:
                self._missing("EntryNotFound", body)
                return
            headers = {"X-Repo-Commit": commit, "ETag": f'"{_blob(data)}"', "Accept-Ranges": "bytes"}
            if name.endswith(LARGE):
                headers |= {"X-Linked-Size": str(len(data))}
                headers |= {"X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"'}
            wanted = self.headers.get("Range")
            if body and wanted is not None:
                hub.ranges.append(wanted)
                first = int(wanted.removeprefix("bytes=").partition("-")[0])
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
                self._send(206, data[first:], headers, body)
                return
            self._send(200, data, headers, body, cut=name.endswith(LARGE))

        def _commit(self, repo: str, revision: str | None) -> str | None:
            commits = hub.repos.get(repo, {})
            newest = hub.newest.get(repo)
            return newest if revision in (None, "main") else revision if revision in commits else None

        def _missing(self, code: str, body: bool) -> None:
            self._send(404, b"{}", {"X-Error-Code": code, "X-Error-Message": "not found"}, body)

        def _send(
            self, status: int, data: bytes, headers: dict[str, str], body: bool, cut: bool = False
        ) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body and cut and hub.stop_after is not None:
                self.wfile.write(data[: hub.stop_after])
                self.close_connection = True
            elif body:
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
