"""A small web application for pods, as one argument of `python -c`."""

SOURCE = r"""
import http.server, json, os, signal, sys, threading, time

state = {"ready": True, "alive": True}
delay = float(os.environ.get("START_DELAY", "0"))
time.sleep(delay)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        path, _, query = self.path.partition("?")
        status, body = 200, "ok"
        if path == "/env":
            body = json.dumps(dict(os.environ))
        elif path == "/who":
            body = json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "uid": os.getuid(), "pid": os.getpid()})
        elif path == "/set":
            name, _, value = query.partition("=")
            state[name] = value == "1"
        elif path == "/ready":
            status = 200 if state["ready"] else 503
        elif path == "/alive":
            status = 200 if state["alive"] else 500
        elif path == "/moved":
            self.send_response(302)
            self.send_header("Location", query)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        elif path == "/headers":
            status = 200 if self.headers.get("X-Probe") == "yes" and self.headers["Host"] == "probe.test" else 400
        elif path == "/slow":
            time.sleep(float(query))
        elif path == "/crash":
            os._exit(3)
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, text, *parts):
        print(text % parts, flush=True)


def leave(*_):
    print("leaving", flush=True)
    os._exit(0)


signal.signal(signal.SIGTERM, leave)
address = os.environ.get("MESHWRIGHT_BIND_ADDRESS", "0.0.0.0")
server = http.server.ThreadingHTTPServer((address, int(os.environ.get("PORT", "9080"))), Handler)
print("listening", flush=True)
server.serve_forever()
"""
