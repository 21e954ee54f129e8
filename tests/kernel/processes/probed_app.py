"""The program of the Pods in these tests: a server of many faults.  Run by ``python3 -c``, so the standard library alone.

HTTP on 8080: /ok, /code/NUMBER, /redirect (to /ok), /away (to another host), /loop, /headers (200 if X-Want is yes), /slow,
/body (a head, and no end), /file (200 while /srv/healthy exists).  8081 hangs up without a word, 8082 never accepts;
8443 is HTTPS with a certificate that nobody knows.  9090 and 9091 are gRPC: SERVING and NOT_SERVING for "", UNIMPLEMENTED
for "unknown"; 9091 writes its headers with Huffman's code.
"""

from __future__ import annotations

import http.server
import os
import socket
import ssl
import struct
import subprocess
import threading
import time


class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path
        if path.startswith("/code/"):
            self.say(int(path[6:]))
        elif path in ("/redirect", "/away", "/loop"):
            where = {"/redirect": "/ok", "/away": "http://192.0.2.1/", "/loop": "/loop"}[path]
            self.say(302, ("Location", where))
        elif path == "/headers":
            wanted = self.headers["X-Want"] == "yes" and self.headers["Host"] == "named.example"
            self.say(200 if wanted and self.headers["User-Agent"].startswith("kube-probe/") else 400)
        elif path == "/slow":
            time.sleep(30)
        elif path == "/body":
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            time.sleep(30)
        elif path == "/file":
            self.say(200 if os.path.exists("/srv/healthy") else 503)
        else:
            self.say(200 if path == "/ok" else 404)

    def say(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for one in headers:
            self.send_header(*one)
        self.end_headers()
        self.wfile.write(b"said\n")

    def log_message(self, *_: object) -> None:
        pass


def listener(port: int) -> socket.socket:
    return socket.create_server(("", port), backlog=64)


def hang_up(sock: socket.socket) -> None:
    while True:
        sock.accept()[0].close()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def grpc(sock: socket.socket, status: int, trailers: dict[str, bytes]) -> None:
    while True:
        peer, _ = sock.accept()
        asked = b""
        while not asked.endswith((b"unknown", b"\0\0\0\0\0")):
            more = peer.recv(65536)
            if not more:
                break
            asked += more
        peer.sendall(frame(4, 0, 0, b"") + frame(6, 0, 0, b"12345678"))
        if asked.endswith(b"unknown"):
            peer.sendall(frame(1, 5, 1, bytes([0x88]) + trailers["12"]))
        else:
            message = b"\x08" + bytes([status])
            peer.sendall(frame(1, 4, 1, bytes([0x88])) + frame(0, 0, 1, struct.pack(">BI", 0, len(message)) + message))
            peer.sendall(frame(1, 5, 1, trailers["0"]))
        peer.recv(65536)
        time.sleep(0.05)
        peer.close()


def plain(name: bytes, value: bytes) -> bytes:
    return bytes([0x40, len(name)]) + name + bytes([len(value)]) + value


# grpc-status by Huffman's code, into the table of headers that are kept; grpc-message: "no such service" likewise.
PACKED = bytes.fromhex("40889acac8b21234da8f")
MESSAGE = bytes.fromhex("40899acac8b5254207317f8ba8ea22d24ea20b677310bf")


def main() -> None:
    os.makedirs("/srv", exist_ok=True)
    web = http.server.ThreadingHTTPServer(("", 8080), Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    threading.Thread(target=hang_up, args=(listener(8081),), daemon=True).start()
    full = socket.create_server(("", 8082), backlog=0)
    kept = [socket.socket() for _ in range(4)]
    for one in kept:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", 8082))
    raw = {code: plain(b"grpc-status", code.encode()) + plain(b"grpc-message", b"no%20such") for code in ("0", "12")}
    packed = {code: PACKED + bytes([1]) + b"0" if code == "0" else PACKED + b"\x0212" + MESSAGE for code in ("0", "12")}
    threading.Thread(target=grpc, args=(listener(9090), 1, raw), daemon=True).start()
    threading.Thread(target=grpc, args=(listener(9091), 2, packed), daemon=True).start()
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=nobody"
    made = subprocess.run(
        [*request.split(), "-keyout", "/srv/key", "-out", "/srv/cert"], capture_output=True, check=False
    )
    if made.returncode == 0:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("/srv/cert", "/srv/key")
        safe = http.server.ThreadingHTTPServer(("", 8443), Web)
        safe.socket = context.wrap_socket(safe.socket, server_side=True)
        threading.Thread(target=safe.serve_forever, daemon=True).start()
    open("/srv/healthy", "w").close()
    open("/srv/begun", "w").close()
    while full and kept:
        time.sleep(3600)


main()
