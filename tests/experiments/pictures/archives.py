"""Small packages in the formats of Debian and npm."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write_deb(path: Path, files: Mapping[str, bytes]) -> Path:
    """An archive of `ar` with the three members of a Debian package."""
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": tar({"./control": b"odd"}, "xz"),
        "data.tar.xz": tar(files, "xz"),
    }
    content = b"!<arch>\n"
    for name, part in parts.items():
        content += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode()
        content += part + b"\n" * (len(part) % 2)
    path.write_bytes(content)
    return path


def write_tgz(path: Path, files: Mapping[str, bytes]) -> Path:
    path.write_bytes(tar({f"package/{name}": content for name, content in files.items()}, "gz"))
    return path


def tar(files: Mapping[str, bytes], compression: str) -> bytes:
    """With a folder and a link, which are no files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{compression}") as archive:
        for name, kind in {"folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()
