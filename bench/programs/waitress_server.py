import logging

from application import application
from waitress import create_server

# It warns of each request that has to wait.
logging.getLogger('waitress.queue').setLevel(logging.ERROR)

server = create_server(
    application,
    host='127.0.0.1',
    port=0,
    threads=1,
    backlog=1024,
    connection_limit=10_000,
    # select() knows no descriptor from 1024 on.
    asyncore_use_poll=True,
)
print(f'listening on {server.effective_port}', flush=True)
server.run()
