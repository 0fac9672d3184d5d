"""A client of beamq in Python with stomp.py, through ActiveMQ or to beamq's own endpoint.

It logs in, submits a script, follows what happens, pauses and resumes, edits the queue, and ends cleanly.

    pip install stomp.py
    BROKER_PASSWORD=… BEAMQ_TOKEN=… python beamq_client.py 127.0.0.1 61613 ss_client

To beamq's own endpoint the user is `beamq` and BROKER_PASSWORD the token.
"""

import json
import os
import queue
import sys
import uuid

import stomp

REPLIES = "/temp-queue/replies"


class BeamqClient(stomp.ConnectionListener):
    """One session with beamq."""

    def __init__(self, host, port, user, password):
        self.waiting = {}  # replies by correlation id, for the caller that waits for each
        self.events = queue.Queue()
        self.key = None  # proves that a request is ours: headers can be forged by others on the broker
        # Without a content-length the broker makes text messages, which is what JMS clients send too.
        self.connection = stomp.Connection12(
            [(host, port)], heartbeats=(10_000, 10_000), auto_content_length=False
        )
        self.connection.set_listener("", self)
        self.connection.connect(user, password, wait=True)
        self.connection.subscribe(REPLIES, id="replies", ack="auto")

    def on_message(self, frame):
        """A message with a correlation id is the reply to a request; the others are events."""
        message = json.loads(frame.body)
        correlation = frame.headers.get("correlation-id")
        if correlation is None:
            self.events.put(message)
        elif correlation in self.waiting:
            self.waiting[correlation].put(message)

    def on_error(self, frame):
        print("the broker refuses:", frame.headers.get("message"), file=sys.stderr)

    def call(self, method, **parameters):
        """Calls a method of beamq and gives its result."""
        correlation = str(uuid.uuid4())
        reply = self.waiting[correlation] = queue.Queue()
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        if self.key:
            request["key"] = self.key
        headers = {"reply-to": REPLIES, "correlation-id": correlation}
        self.connection.send("/queue/ss_admin", json.dumps(request), headers=headers)
        message = reply.get(timeout=30)
        del self.waiting[correlation]
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def login(self, token):
        self.key = self.call("session.login", token=token, client="Python example", bind=True)["key"]

    def submit(self, name, script):
        return self.call("job.submit", job={"name": name, "script": script})["id"]

    def wait_for(self, job, state):
        """Waits until an event says that the job is in this state."""
        while True:
            event = self.events.get(timeout=30)
            shown = event["params"].get("job", {})
            if event["method"] == "event.job" and (shown["id"], shown["state"]) == (job, state):
                print("job", job, state, flush=True)
                return

    def close(self):
        self.call("session.logout")
        self.connection.disconnect()


def main():
    host, port, user = sys.argv[1:4]
    # Secrets come from the environment: arguments can be read by everybody on the machine.
    client = BeamqClient(host, int(port), user, os.environ["BROKER_PASSWORD"])
    client.login(os.environ["BEAMQ_TOKEN"])
    client.call("events.subscribe", kinds=["job", "queue"])
    slow = client.submit("slow", "import time\nfor n in range(1000):\n    time.sleep(0.01)\n")
    client.wait_for(slow, "running")
    client.call("run.pause")
    client.wait_for(slow, "paused")
    # The queue can be edited while something is active.
    first = client.submit("first 😀", "print('first')")
    second = client.submit("second", "print('second')")
    client.call("queue.move", ids=[second], place="front")
    client.call("job.remove", ids=[first])
    client.call("run.resume")
    client.wait_for(slow, "running")
    client.call("run.abort", why="the example is over")
    client.wait_for(slow, "aborted")
    client.call("queue.release")  # an abort holds the queue until somebody says go on
    client.wait_for(second, "succeeded")
    client.close()
    print("done")


if __name__ == "__main__":
    main()
