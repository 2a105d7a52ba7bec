"""PostgreSQL's data on a disk of its own that can be made too small: a tmpfs of limited size."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.torture.arena import Arena
from tests.torture.database import until_database_answers

MIB = 1024 * 1024
ROOM_BYTES = 1024 * MIB
_TRIES = 20
_STOP_SECONDS = 30


def lacking() -> str | None:
    """Why there can be no such disk here."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        return "a disk that runs full is a tmpfs, which only root on Linux may mount"
    done = subprocess.run(["mount", "--fake", "-t", "tmpfs", "none", "/mnt"], check=False)
    return None if done.returncode == 0 else "this machine lets nobody mount a tmpfs"


@dataclass(frozen=True)
class SmallDisk:
    """The mounted tmpfs."""

    place: Path

    def grow(self) -> None:
        _mount("-o", f"remount,size={self._used() + ROOM_BYTES}", str(self.place))

    def shrink(self, free_bytes: int) -> None:
        """Leave this much room. The database may need more at the same moment: tried again."""
        for attempt in range(_TRIES):
            try:
                size = self._used() + free_bytes * (attempt + 1)
                _mount("-o", f"remount,size={size}", str(self.place))
            except subprocess.CalledProcessError:
                continue
            return
        raise RuntimeError(f"{self.place} did not become smaller")

    def _used(self) -> int:
        found = os.statvfs(self.place)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


@asynccontextmanager
async def small_disk(arena: Arena) -> AsyncIterator[SmallDisk]:
    """Inside the block the database's data lies on a disk with room; after it, where it lay."""
    data = arena.folder / "postgres" / "data"
    disk = SmallDisk(arena.folder / "small-disk")
    disk.place.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={ROOM_BYTES},mode=0755", "none", str(disk.place))
    try:
        disk.grow()
        await _move(arena, data, disk.place / "data")
        try:
            yield disk
        finally:
            disk.grow()
            await until_database_answers(arena)
            await _move_back(arena, data, disk.place / "data")
    finally:
        subprocess.run(["umount", "--lazy", str(disk.place)], check=False)


async def _move(arena: Arena, data: Path, target: Path) -> None:
    async with _stopped(arena):
        await asyncio.to_thread(_copy, data, target)
        data.rename(data.with_name("data-on-disk"))
        data.symlink_to(target)


async def _move_back(arena: Arena, data: Path, source: Path) -> None:
    async with _stopped(arena):
        fresh = data.with_name("data-back")
        await asyncio.to_thread(_copy, source, fresh)
        data.unlink()
        fresh.rename(data)
        shutil.rmtree(data.with_name("data-on-disk"))


@asynccontextmanager
async def _stopped(arena: Arena) -> AsyncIterator[None]:
    with arena.stack.left_dead("postgres"):
        arena.kill("postgres", signal.SIGINT)
        async with asyncio.timeout(_STOP_SECONDS):
            while arena.stack.is_alive("postgres"):
                await asyncio.sleep(0.05)
        yield
    await until_database_answers(arena)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
