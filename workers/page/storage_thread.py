"""A thread for everything that looks at the storage: when that does not answer, the page still does."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any, TypeVar

from workers.page.limits import STORAGE_SECONDS

T = TypeVar("T")


class StorageThread:
    """Does one look after the other. It is used by one event loop, and never holds up the end of the process."""

    def __init__(self) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="storage")
        self._asked: dict[Callable[[], Any], asyncio.Future[Any]] = {}

    async def ask(self, look: Callable[[], T]) -> T:
        """Return what `look` finds; who asks for the same meanwhile gets the same answer.

        Raise TimeoutError when the storage does not answer in time. The look goes on, and none is added to it.
        """
        asked = self._asked.get(look)
        if asked is None or asked.done():
            asked = self._asked[look] = asyncio.get_running_loop().run_in_executor(self._executor, look)
        answer: T = await asyncio.wait_for(asyncio.shield(asked), STORAGE_SECONDS)
        return answer
