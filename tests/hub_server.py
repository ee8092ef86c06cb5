"""A hub on 127.0.0.1 with one checkpoint, that speaks as much of its interface as fetching takes."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMIT = "0" * 40


@contextmanager
def serving(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(its address, the files that were fetched so far). folder: holds the files of the checkpoint `name`."""
    files, fetched = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}, list[str]()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = unquote(urlparse(self.path).path)
            content, kind = b"{}", "application/json"
            headers: dict[str, str] = {}
            if path.startswith(f"/api/models/{name}/tree/"):
                entries = [{"type": "file", "path": one, "size": len(files[one]), "oid": "0"} for one in files]
                content = json.dumps(entries).encode()
            elif path.startswith(f"/api/models/{name}"):
                siblings = [{"rfilename": one, "size": len(files[one])} for one in files]
                content = json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
            elif path.startswith(f"/{name}/resolve/") and path.rpartition("/")[2] in files:
                content, kind = files[path.rpartition("/")[2]], "application/octet-stream"
                headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
                if body:
                    fetched.append(path.rpartition("/")[2])
            else:
                self.send_error(404)
                return
            self.send_response(200)
            for header, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(header, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        server.server_close()
