"""Becomes a server that inherits descriptors which Node cannot make.

inherit.py SETTINGS COMMAND..., with JSON of:
  listener  a listening socket: {"fd", "address", "sendBuffer" in bytes}
  file      an open file: {"fd", "path", "offset" where it stands}
"""

import json
import os
import socket
import sys


def listen(fd, address, sendBuffer):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # Linux gives the sockets that are accepted the same. The least that they take is a segment,
    # of which loopback has large ones.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sendBuffer)
    if family == socket.AF_INET:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    listener.bind(address if isinstance(address, str) else tuple(address))
    listener.listen(128)
    os.dup2(listener.detach(), fd)


def open_file(fd, path, offset):
    opened = os.open(path, os.O_RDONLY)
    os.lseek(opened, offset, os.SEEK_SET)
    os.dup2(opened, fd)


settings = json.loads(sys.argv[1])
if "listener" in settings:
    listen(**settings["listener"])
if "file" in settings:
    open_file(**settings["file"])
os.execvp(sys.argv[2], sys.argv[2:])
