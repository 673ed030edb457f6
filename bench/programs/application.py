"""The WSGI application that all servers of Python run."""

PIECES = [b'x' * 1024] * 8


def hello(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '13')])
    return [b'Hello, World!']


def echo(environ, start_response):
    body = environ['wsgi.input'].read(int(environ['CONTENT_LENGTH']))
    fields = [('Content-Type', 'application/octet-stream'), ('Content-Length', str(len(body)))]
    start_response('200 OK', fields)
    return [body]


def chunked(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return iter(PIECES)


def not_found(environ, start_response):
    start_response('404 Not Found', [('Content-Length', '0')])
    return []


ROUTES = {'/': hello, '/echo': echo, '/chunked': chunked}


def application(environ, start_response):
    return ROUTES.get(environ['PATH_INFO'], not_found)(environ, start_response)
