#!/usr/bin/env python3
"""Lets shared libraries run with an older glibc.

Usage: pack_glibc.py NEWEST LIBRARY FILE...

Symbols that a FILE (ELF, 64 bits, little-endian) takes from a glibc newer than NEWEST, say 2.34, and that LIBRARY has too, lose
their version, so that LIBRARY's are as good. Prints the files that were changed, a line each. A symbol that LIBRARY lacks stays
as it is.
"""
import mmap
import pathlib
import struct
import sys

GLOBAL = 1  # version of symbols that have none


class Elf:
    def __init__(self, data):
        self.data = data
        at, size, count, names = struct.unpack_from("<Q10xHHH", data, 0x28)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * size) for i in range(count)]
        text = headers[names][4]
        self.sections = {self.text(text + header[0]): (header[4], header[5]) for header in headers}

    def text(self, at):
        return self.data[at:self.data.find(b"\0", at)].decode()

    def has(self, *names):
        return all(name in self.sections for name in names)

    def symbols(self):
        """(number, name, whether it is defined here) of the dynamic symbols."""
        (at, size), (names, _) = self.sections[".dynsym"], self.sections[".dynstr"]
        for number in range(size // 24):
            name, _, _, section = struct.unpack_from("<IBBH", self.data, at + 24 * number)
            yield number, self.text(names + name), section != 0

    def needed_versions(self):
        """Of each library that versions are needed of: [(place, hash, number, name)]."""
        at, names = self.sections[".gnu.version_r"][0], self.sections[".dynstr"][0]
        while True:
            _, count, _, first, following = struct.unpack_from("<HHIII", self.data, at)
            versions, place = [], at + first
            for _ in range(count):
                digest, _, number, name, step = struct.unpack_from("<IHHII", self.data, place)
                versions.append((place, digest, number, name))
                place += step
            yield [(place, digest, number, name, self.text(names + name)) for place, digest, number, name in versions]
            if following == 0:
                return
            at += following


def release(version):
    """(2, 36) of GLIBC_2.36; None of another library's version."""
    numbers = version.removeprefix("GLIBC_").split(".")
    return tuple(map(int, numbers)) if version.startswith("GLIBC_") and all(map(str.isdigit, numbers)) else None


def lower(elf, newest, provided):
    """Whether anything was changed."""
    if not elf.has(".gnu.version_r", ".gnu.version", ".dynsym"):
        return False
    changed, numbers = False, elf.sections[".gnu.version"][0]
    for versions in elf.needed_versions():
        old = [version for version in versions if release(version[4]) and release(version[4]) <= newest]
        for place, _, number, _, name in versions:
            if not old or not release(name) or release(name) <= newest:
                continue
            users = [(i, symbol) for i, symbol, _ in elf.symbols()
                     if struct.unpack_from("<H", elf.data, numbers + 2 * i)[0] & 0x7FFF == number]
            if any(symbol not in provided for _, symbol in users):
                continue
            for i, _ in users:
                struct.pack_into("<H", elf.data, numbers + 2 * i, GLOBAL)
            _, digest, _, old_name, _ = old[0]
            struct.pack_into("<I", elf.data, place, digest)
            struct.pack_into("<I", elf.data, place + 8, old_name)
            changed = True
    return changed


def open_elf(path, access):
    with pathlib.Path(path).open("r+b" if access == mmap.ACCESS_WRITE else "rb") as file:
        return Elf(mmap.mmap(file.fileno(), 0, access=access))


def main():
    newest, library, files = tuple(map(int, sys.argv[1].split("."))), sys.argv[2], sys.argv[3:]
    provided = {name for _, name, here in open_elf(library, mmap.ACCESS_READ).symbols() if here}
    for path in files:
        if lower(open_elf(path, mmap.ACCESS_WRITE), newest, provided):
            print(path)


if __name__ == "__main__":
    main()
