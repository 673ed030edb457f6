import asyncio

from application import application
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.wsgi import WSGIContainer


async def main():
    sockets = bind_sockets(0, '127.0.0.1', backlog=1024)
    HTTPServer(WSGIContainer(application)).add_sockets(sockets)
    print(f'listening on {sockets[0].getsockname()[1]}', flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
