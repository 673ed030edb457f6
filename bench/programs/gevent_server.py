from socket import IPPROTO_TCP, TCP_NODELAY

from application import application
from gevent.pywsgi import WSGIServer

server = WSGIServer(('127.0.0.1', 0), application, log=None)
server.start()
# Head and body are sent apart: the body would wait for the client's acknowledgement of the head.
# Connections inherit it.
server.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
print(f'listening on {server.server_port}', flush=True)
server.serve_forever()
