"""Files in answers, sent piece by piece and never whole in memory."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Chunks(StreamingResponse):
    """Sends what a generator gives, and closes it also when the client hangs up."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes],
        status: int,
        headers: dict[str, str],
        mime: str,
    ) -> None:
        super().__init__(chunks, status, headers, mime)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with aclosing(self._chunks):
            await super().__call__(scope, receive, send)


async def in_base64(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Write what comes in pieces as one Base64, and close what it comes from."""
    left = b""
    async with aclosing(pieces):
        async for piece in pieces:
            left += piece
            end = len(left) // 3 * 3  # Base64 is written in groups of three
            yield b64encode(left[:end])
            left = left[end:]
    yield b64encode(left)
