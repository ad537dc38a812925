"""An app on a port of its own, served by uvicorn as it is, without its signals."""

import asyncio
import socket
from contextlib import asynccontextmanager, nullcontext

import uvicorn


class _Server(uvicorn.Server):
    def capture_signals(self):
        return nullcontext()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(app):
    """Serve an ASGI app on a free port; give its origin."""
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False))
    server.listening = asyncio.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
