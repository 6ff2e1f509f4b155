"""The zip container of a `.pt2` file, vetted before any member is read.

`torch.export.save` stores its members uncompressed, so an archive is as large as
what it holds: whatever is compressed, overlaps, repeats a name or leaves the
folder is refused, and there is nothing to inflate.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

from lumpnet.certificate import strict_json
from lumpnet.errors import FileError

MAX_MEMBERS = 100_000
MAX_DIRECTORY = 1 << 24
MAX_JSON = 1 << 26
HINT = "write the file with torch.export.save of torch 2.9 or newer"
_BELOW = re.compile(r"[A-Za-z0-9_.+ -]+(/[A-Za-z0-9_.+ -]+)*")
_END, _END64 = b"PK\5\6", b"PK\6\7"


class Archive:
    """The members of one vetted file, by their path below the archive's root folder."""

    def __init__(self, path: str | Path):
        """Raises `FileError` for what is no plain archive of stored members."""
        self.where = str(path)
        size = self._size(path)
        try:
            with open(path, "rb") as file:
                self._directory(file, size)
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, UnicodeError) as error:
            raise FileError(self.where, f"not a readable archive ({type(error).__name__}: {error})", "a .pt2 file", HINT) from error
        self._members = self._vetted(size)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def names(self, folder: str) -> list[str]:
        """The members directly in `folder`, by their paths."""
        return [name for name in self._members if name.rpartition("/")[0] == folder]

    def read(self, name: str) -> bytes:
        """The bytes of a member, as many as declared, its checksum right. Raises `FileError`."""
        if name not in self._members:
            raise FileError(self.where, f"the archive has no member {name!r}", "the members that torch.export.save writes", HINT)
        try:
            return self._zip.read(self._members[name])
        except (OSError, zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
            raise FileError(self.where, f"the member {name!r} cannot be read ({error})", "members inside the file with right checksums", HINT) from error

    def json(self, name: str) -> Any:
        """A member as plain data. Raises `FileError`."""
        try:
            return strict_json(self.read(name), f"{self.where}: {name}", FileError, MAX_JSON)
        except FileError as error:
            raise FileError(error.where, error.found, error.expected, HINT) from error

    def _size(self, path: str | Path) -> int:
        try:
            info = os.stat(path)
        except (OSError, ValueError) as error:
            raise FileError(self.where, f"cannot be opened ({getattr(error, 'strerror', error)})", "an existing file", "check the path") from error
        if not stat.S_ISREG(info.st_mode):
            raise FileError(self.where, "not a regular file", "a .pt2 file", "check the path")
        return info.st_size

    def _directory(self, file: Any, size: int) -> None:
        """The list of members is small: Python reads it whole."""
        if file.read(4) != b"PK\3\4":
            raise self._refused("it does not begin as a zip archive does", "a .pt2 file")
        file.seek(max(0, size - (1 << 16) - 22))
        tail = file.read()
        end = tail.rfind(_END)
        if end < 0 or len(tail) - end < 22:
            raise self._refused("the end of the archive is missing", "a whole .pt2 file")
        members, length = struct.unpack_from("<HI", tail, end + 10)
        if len(tail) - end != 22 + struct.unpack_from("<H", tail, end + 20)[0]:
            raise self._refused("something follows the end of the archive", "an archive and nothing else")
        if end >= 20 and tail[end - 20 : end - 16] == _END64:
            file.seek(struct.unpack_from("<Q", tail, end - 12)[0])
            members, length = struct.unpack_from("<QQ", file.read(56), 32)
        if members > MAX_MEMBERS or length > MAX_DIRECTORY:
            raise self._refused(f"an archive of {members} members whose list takes {length} bytes", f"at most {MAX_MEMBERS} members")

    def _vetted(self, size: int) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if not infos or len(infos) > MAX_MEMBERS:
            raise self._refused(f"an archive of {len(infos)} members", f"1 to {MAX_MEMBERS}")
        for info in infos:
            self._plain(info)
        if len({info.filename for info in infos}) < len(infos):
            raise self._refused("two members have one name", "distinct names")
        self._apart(infos, size)
        roots = {info.filename.partition("/")[0] for info in infos}
        if len(roots) > 1:
            raise self._refused(f"the members stand in {len(roots)} folders", "one folder, as torch.export.save writes it")
        return {info.filename.partition("/")[2]: info for info in infos}

    def _plain(self, info: zipfile.ZipInfo) -> None:
        """A stored member below the root folder, with a plain name."""
        name, (root, _, below) = info.filename, info.filename.partition("/")
        plain = root.isprintable() and "\\" not in root and ":" not in root and _BELOW.fullmatch(below)
        if not plain or {"", ".", ".."} & set(name.split("/")) or len(name) > 1024 or info.orig_filename != name:
            raise self._refused(f"a member is called {name[:80]!r}", "plain relative paths")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 or info.file_size != info.compress_size:
            raise self._refused(f"the member {name!r} is compressed or encrypted", "stored members, which is how torch.export.save writes them")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise self._refused(f"the member {name!r} is no plain file", "files only")

    def _apart(self, infos: list[zipfile.ZipInfo], size: int) -> None:
        """Members lie one behind the other inside the file."""
        at = 0
        for info in sorted(infos, key=lambda i: i.header_offset):
            if info.header_offset < at:
                raise self._refused(f"the member {info.filename!r} lies inside another", "members one behind the other")
            at = info.header_offset + 30 + len(info.filename) + info.file_size
        if at > size:
            raise self._refused("the members reach beyond the end of the file", "a whole file")

    def _refused(self, found: str, expected: str) -> FileError:
        return FileError(self.where, found, expected, HINT)
