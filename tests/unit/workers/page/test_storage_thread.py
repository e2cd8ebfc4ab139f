"""A storage that does not answer keeps nobody but the thread that asked it."""

import asyncio
import threading

import pytest

from workers.page import storage_thread
from workers.page.storage_thread import StorageThread


def test_who_asks_a_storage_that_hangs_is_told_so_and_asked_once(monkeypatch):
    monkeypatch.setattr(storage_thread, "STORAGE_SECONDS", 0.05)
    answers, asked = threading.Event(), []

    def look():
        asked.append(1)
        answers.wait()
        return "there"

    async def ask():
        storage = StorageThread()
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await storage.ask(look)
        answers.set()
        monkeypatch.setattr(storage_thread, "STORAGE_SECONDS", 60)
        return await storage.ask(look)

    assert asyncio.run(ask()) == "there"
    assert len(asked) == 1
