"""A Hugging Face hub on loopback: repositories in memory, a second port as its CDN, and faults that a test switches on.

    with LoopbackHub() as hub:
        commit = hub.add("owner/name", {"config.json": b"{}", "model.safetensors": weights}, licence="apache-2.0")
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)

Files that end in `LFS_SUFFIXES`, or have `LFS_BYTES` bytes and more, are in large-file storage: the hub redirects to
the CDN. The others are in git. Commits are digests of the contents, so everything is the same in every run.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_SUFFIXES = (".safetensors", ".bin", ".onnx", ".h5", ".tflite", ".pb", ".ckpt", ".keras", ".zip", ".gz")
LFS_BYTES = 10 << 20
TOKEN = "hf_loopback"  # the only valid token
WATCHDOG_S = 60
PIECE = 4096


def git_blob(content: bytes) -> str:
    """The SHA-1 that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_lfs(path: str, content: bytes) -> bool:
    return path.endswith(LFS_SUFFIXES) or len(content) >= LFS_BYTES


@dataclass
class HubFault:
    """A fault of the answers to the requests whose path holds `path`.

    Attributes:
        times: number of answers with the fault; None for all.
        server: `hub`, `cdn` or "" for both.
        method: for example HEAD; "" for all.
        status: answer with this status and `headers`.
        cut_after: close the connection after so many bytes of the body.
        stall_after: send so many bytes of the body, then nothing until `LoopbackHub.released` is set.
        wrong_bytes: send other bytes of the right size.
    """

    path: str
    times: int | None = None
    server: str = ""
    method: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall_after: int | None = None
    wrong_bytes: bool = False


@dataclass(frozen=True)
class HubRequest:
    """A request that one of the two servers received; header names in lower case."""

    server: str
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Repository:
    """The commits of a repository, and what its branches and tags point to."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    licence: str | None = None


class LoopbackHub:
    """The hub; see the module.

    Attributes:
        repositories: by OWNER/NAME.
        requests: those received so far, in order.
        faults: of all matching ones the first is used.
        private: repositories that only `TOKEN` may see.
        gated: repositories whose files only a granted account may read; `TOKEN` is granted those in `granted`.
        listings: documents sent instead of the listing of a repository.
        stalled: set when a fault stalls a connection.
        released: set by a test to end all stalls.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        """Serve over https with a file of key and certificate; over http without one."""
        self.repositories: dict[str, Repository] = {}
        self.requests: list[HubRequest] = []
        self.faults: list[HubFault] = []
        self.private: set[str] = set()
        self.gated: set[str] = set()
        self.granted: set[str] = set()
        self.listings: dict[str, Any] = {}
        self.stalled, self.released, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self._servers = [_Server(self, kind, certificate) for kind in ("hub", "cdn")]

    @property
    def endpoint(self) -> str:
        """The value of HF_ENDPOINT."""
        return self._servers[0].url

    @property
    def cdn(self) -> str:
        return self._servers[1].url

    def __enter__(self) -> LoopbackHub:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.released.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
            server.end_connections()

    def add(self, name: str, files: Mapping[str, bytes], *, branch: str = "main", licence: str | None = None) -> str:
        """Commit these files to a branch, which then points to them. Returns the commit."""
        tree = "".join(f"{path}\0{git_blob(content)}\n" for path, content in sorted(files.items()))
        commit = hashlib.sha1(f"{name}\n{tree}".encode()).hexdigest()
        repository = self.repositories.setdefault(name, Repository())
        repository.commits[commit] = dict(files)
        repository.refs[branch] = commit
        repository.licence = licence or repository.licence
        return commit

    def add_folder(self, name: str, folder: Path, *, branch: str = "main", licence: str | None = None) -> str:
        """Commit all files of a folder."""
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        return self.add(name, files, branch=branch, licence=licence)

    def fault(self, path: str, **settings: Any) -> HubFault:
        """Switch a fault on; see `HubFault`."""
        self.faults.append(HubFault(path, **settings))
        return self.faults[-1]

    def sent(self, path: str, *, server: str = "", method: str = "GET") -> list[HubRequest]:
        """The requests received so far whose path holds `path`."""
        return [r for r in self.requests if path in r.path and server in r.server and r.method == method]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, hub: LoopbackHub, kind: str, certificate: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.hub, self.kind = hub, kind
        self.connections: list[socket.socket] = []
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; clients keep connections open, and their threads would outlive the test."""
        self.connections.append(request)
        super().process_request(request, client_address)

    def end_connections(self) -> None:
        """End the connections that clients keep open, and so the threads that serve them."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that a test ends close their connections."""


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        with hub.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            hub.requests.append(HubRequest(self.server.kind, self.command, self.path, headers))
            fault = next(self._matching(hub, path), None)
            if fault is not None and fault.times is not None:
                fault.times -= 1
        if fault is not None and fault.status is not None:
            self._answer(fault.status, b"", dict(fault.headers))
        elif self.server.kind == "cdn":
            self._cdn(path, fault)
        else:
            self._hub(path, fault)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def _matching(self, hub: LoopbackHub, path: str) -> Iterator[HubFault]:
        for fault in hub.faults:
            here = fault.path in path and fault.server in self.server.kind and fault.method in self.command
            if here and fault.times != 0:
                yield fault

    def _hub(self, path: str, fault: HubFault | None) -> None:
        hub = self.server.hub
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(refs/(?:pr|convert)/[^/]+|[^/]+)/(.+)", path)
        found = api or resolve
        if found is None:
            return self._answer(404, b"")
        name = found[1]
        given = self.headers.get("Authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            return self._answer(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
        repository = hub.repositories.get(name)
        if repository is None or (name in hub.private and given is None):
            status = 401 if given is None else 404
            return self._answer(
                status, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            )
        revision = (api[3] if api else found[2]) or "main"
        commit = repository.refs.get(revision) or next((c for c in repository.commits if c.startswith(revision)), None)
        if commit is None:
            return self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = repository.commits[commit]
        if api:
            document = _tree(files) if api[2] == "tree" else _listing(name, repository, commit, name in hub.gated)
            document = hub.listings.get(name, document)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            return self._send(body, {"Content-Type": "application/json"}, fault)
        if name in hub.gated and not (given and name in hub.granted):
            return self._answer(403 if given else 401, b"", {"X-Error-Code": "GatedRepo"})
        wanted = found[3]
        headers = {"X-Repo-Commit": commit}
        if wanted not in files:
            return self._answer(404, b"", {**headers, "X-Error-Code": "EntryNotFound"})
        content = files[wanted]
        if not is_lfs(wanted, content):
            return self._send(content, {**headers, "ETag": f'"{git_blob(content)}"'}, fault)
        linked = {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        where = f"{hub.cdn}/{name}/{commit}/{wanted}"
        return self._answer(302, b"", {**headers, **linked, "Location": where})

    def _cdn(self, path: str, fault: HubFault | None) -> None:
        owner, name, commit, wanted = path[1:].split("/", 3)
        content = self.server.hub.repositories[f"{owner}/{name}"].commits[commit][wanted]
        self._send(content, {"ETag": f'"{sha256(content)}"'}, fault)

    def _send(self, content: bytes, headers: Mapping[str, str], fault: HubFault | None) -> None:
        """A body, from the offset that the client asks for, with the fault of a test."""
        fault = fault or HubFault("")
        if fault.wrong_bytes:
            content = bytes(value ^ 1 for value in content)
        start, status = 0, 200
        headers = {**headers, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range", headers.get("ETag")) == headers.get("ETag"):
            start, status = int(asked[1]), 206
            if start >= len(content):
                return self._answer(416, b"")
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        end = fault.cut_after if fault.cut_after is not None else fault.stall_after
        if end is None or self.command == "HEAD":
            return self._answer(status, body, headers)
        self._head(status, len(body), {**headers, "Connection": "close"})
        for first in range(0, min(end, len(body)), PIECE):
            self.wfile.write(body[first : min(first + PIECE, end)])
        if fault.stall_after is not None:
            self.server.hub.stalled.set()
            self.server.hub.released.wait(WATCHDOG_S)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if headers.get("Connection") == "close":
            self.close_connection = True


def _pointer(content: bytes) -> bytes:
    """The file that git holds in place of one in large-file storage."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(content)}\nsize {len(content)}\n".encode()


def _listing(name: str, repository: Repository, commit: str, gated: bool) -> dict[str, Any]:
    """The document of /api/models/NAME/revision/REVISION?blobs=true."""
    files: list[dict[str, Any]] = []
    for path, content in sorted(repository.commits[commit].items()):
        files.append({"rfilename": path, "size": len(content), "blobId": git_blob(content)})
        if is_lfs(path, content):
            pointer = _pointer(content)
            files[-1]["blobId"] = git_blob(pointer)
            files[-1]["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": len(pointer)}
    document = {"_id": "0", "id": name, "modelId": name, "sha": commit, "private": False, "siblings": files}
    document |= {"gated": "manual" if gated else False, "disabled": False, "tags": []}
    if repository.licence:
        document |= {"tags": [f"license:{repository.licence}"], "cardData": {"license": repository.licence}}
    return document


def _tree(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The document of /api/models/NAME/tree/REVISION?recursive=true."""
    entries: list[dict[str, Any]] = []
    for path, content in sorted(files.items()):
        entries.append({"type": "file", "path": path, "size": len(content), "oid": git_blob(content)})
        if is_lfs(path, content):
            pointer = _pointer(content)
            entries[-1]["oid"] = git_blob(pointer)
            entries[-1]["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": len(pointer)}
    return entries
