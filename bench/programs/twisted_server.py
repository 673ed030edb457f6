from application import application
from twisted.internet import reactor
from twisted.python.threadpool import ThreadPool
from twisted.web.server import Site
from twisted.web.wsgi import WSGIResource

pool = ThreadPool(minthreads=1, maxthreads=1)
pool.start()
reactor.addSystemEventTrigger('after', 'shutdown', pool.stop)
site = Site(WSGIResource(reactor, pool, application))
port = reactor.listenTCP(0, site, backlog=1024, interface='127.0.0.1')
print(f'listening on {port.getHost().port}', flush=True)
reactor.run()
