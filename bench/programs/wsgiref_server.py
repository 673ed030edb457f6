from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from application import application


class Server(WSGIServer):
    # Of the 5 that it is by default, most clients would have to try again after a second.
    request_queue_size = 1024


class Handler(WSGIRequestHandler):
    def log_message(self, *args):
        pass


server = make_server('127.0.0.1', 0, application, server_class=Server, handler_class=Handler)
print(f'listening on {server.server_port}', flush=True)
server.serve_forever()
