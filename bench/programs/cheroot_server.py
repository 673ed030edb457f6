from application import application
from cheroot.wsgi import Server

server = Server(
    ('127.0.0.1', 0), application, numthreads=1, request_queue_size=1024, timeout=65
)
# Of the 10 that it is by default, the others are closed after each answer.
server.keep_alive_conn_limit = 10_000
server.prepare()
print(f'listening on {server.bind_addr[1]}', flush=True)
server.serve()
