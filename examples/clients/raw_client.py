#!/usr/bin/env python3
"""A client of beamq in the standard library only: log in, submit a script, follow it to its end.

    python3 raw_client.py DATA_DIRECTORY SCRIPT.py

It talks STOMP 1.2 over a plain socket to show how little a client needs. The exit code is 0 when the
script succeeded.
"""

import json
import pathlib
import socket
import sys

data_directory, script = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
token = (data_directory / "token").read_text().strip()
host, port = json.loads((data_directory / "endpoint.json").read_text())["stomp"].rsplit(":", 1)

connection = socket.create_connection((host, int(port)), timeout=60)
stream = connection.makefile("rb")


def send(command, headers, body=""):
    head = "".join(f"{name}:{value}\n" for name, value in headers.items())
    connection.sendall(f"{command}\n{head}\n{body}\0".encode())


def receive():
    """The next frame: its command, its headers and its body."""
    command = b"\n"
    while command in (b"\n", b"\r\n"):  # Empty lines between frames are heart-beats.
        command = stream.readline()
    if not command:
        sys.exit("the server closed the connection")
    headers = {}
    for line in iter(stream.readline, b"\n"):
        name, _, value = line.rstrip(b"\n").partition(b":")
        headers.setdefault(name.decode(), value.decode())
    body = bytearray()
    if "content-length" in headers:
        body += stream.read(int(headers["content-length"]))
    while (byte := stream.read(1)) not in (b"\0", b""):
        body += byte
    if command.startswith(b"ERROR"):
        sys.exit(f"refused: {headers.get('message')}")
    return command.strip().decode(), headers, body.decode()


def call(method, **params):
    """Sends a request and waits for its reply; notifications that come in between are kept."""
    request = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
    reply_to = {"destination": "/queue/ss_admin", "reply-to": "/temp-queue/mine", "correlation-id": method}
    send("SEND", reply_to, json.dumps(request))
    while True:
        _, headers, body = receive()
        message = json.loads(body)
        if headers.get("correlation-id") != method:
            notifications.append(message)
        elif "error" in message:
            sys.exit(f"{method}: {message['error']['message']}")
        else:
            return message["result"]


notifications = []
send("CONNECT", {"accept-version": "1.2", "host": host, "login": "beamq", "passcode": token})
receive()
send("SUBSCRIBE", {"id": "0", "destination": "/temp-queue/mine"})
call("session.login", token=token, client="raw_client.py")
call("events.subscribe", kinds=["job", "output"])
mine = call("job.submit", job={"name": script.name, "script": script.read_text()})["id"]

while True:
    notification = notifications.pop(0) if notifications else json.loads(receive()[2])
    params = notification["params"]
    if notification["method"] == "event.output" and params["job"] == mine:
        for line in params["lines"]:
            print(f"  {line['text']}")
    elif notification["method"] == "event.job" and params["job"]["id"] == mine:
        job = params["job"]
        print(f"job {mine} {job['name']}: {job['state']}")
        if "finished_at" in job:
            sys.exit(0 if job["state"] == "succeeded" else 1)
