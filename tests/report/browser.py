"""Debian's chromium, headless: what a page becomes there, measured from a page around it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHROMIUM = next((found for program in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(program))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars")
DARK = "--blink-settings=preferredColorScheme=0"
SECONDS = 120

MEASURE = """
const frame = document.getElementById('frame');
frame.onload = () => setTimeout(() => {
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  const all = [...page.querySelectorAll('*')];
  document.getElementById('measured').textContent = JSON.stringify({
    title: page.title, text: page.body.innerText, scripts: page.scripts.length, images: page.images.length,
    handlers: all.filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
    links: page.querySelectorAll('a, link, iframe, object, embed, form, base').length,
    fetched: view.performance.getEntriesByType('resource').map(e => e.name),
    wide: root.scrollWidth, width: root.clientWidth, tall: root.scrollHeight,
    background: view.getComputedStyle(page.body.querySelector('.lumpnet') || page.body).backgroundColor,
    pictures: [...page.querySelectorAll('svg')].filter(s => s.checkVisibility() && s.getBoundingClientRect().width < 1).length,
    outside: page.getElementById('outside') ? JSON.stringify({...view.getComputedStyle(page.getElementById('outside'))}) : '',
    owner: document.title,
  });
}, 300);
"""


def start(folder: Path, *arguments: str) -> str:
    """What chromium prints. Raises `CalledProcessError`, `TimeoutExpired`."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS, errors="replace").stdout


def measured(page: str, folder: Path, width: int, *flags: str) -> dict[str, Any]:
    """The page in a frame `width` pixels wide: what it says, holds and has fetched. `title` changes if a script of it runs."""
    around = folder / "around.html"
    frame = f'<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{html.escape(page)}"></iframe>'
    around.write_text(f'<!DOCTYPE html><meta charset="utf-8"><title>around</title><body>{frame}<pre id="measured"></pre><script>{MEASURE}</script></body>')
    dom = start(folder, *flags, "--virtual-time-budget=5000", "--dump-dom", around.as_uri())
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None, dom[-2000:]
    answer: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return answer


@contextmanager
def beacon() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
