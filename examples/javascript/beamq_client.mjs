// A client of beamq in JavaScript with @stomp/stompjs, through ActiveMQ. It logs in, submits a script,
// follows what happens, pauses and resumes, edits the queue, and ends cleanly.
//
//   npm install
//   BROKER_PASSWORD=… BEAMQ_TOKEN=… node beamq_client.mjs 127.0.0.1 61613 ss_client

import { randomUUID } from "node:crypto";
import { Client } from "@stomp/stompjs";
import { TcpSocket } from "./tcp_socket.mjs";

const REPLIES = "/temp-queue/replies";
const PATIENCE_MS = 30_000;

class BeamqClient {
  waiting = new Map(); // replies by correlation id, for the caller that waits for each
  events = [];
  listeners = new Set();
  key = undefined; // proves that a request is ours: headers can be forged by others on the broker

  constructor(host, port, user, password) {
    this.stomp = new Client({
      webSocketFactory: () => new TcpSocket(host, port),
      connectHeaders: { login: user, passcode: password },
      reconnectDelay: 0,
    });
  }

  connect() {
    return new Promise((resolve, reject) => {
      this.stomp.onConnect = () => {
        this.stomp.subscribe(REPLIES, (message) => this.received(message));
        resolve();
      };
      this.stomp.onStompError = (frame) => reject(new Error(frame.headers.message));
      this.stomp.onWebSocketError = reject;
      this.stomp.activate();
    });
  }

  // A message with a correlation id is the reply to a request; the others are events.
  received(message) {
    const content = JSON.parse(message.body);
    const correlation = message.headers["correlation-id"];
    if (correlation === undefined) {
      this.events.push(content);
      for (const listener of this.listeners) listener();
    } else {
      this.waiting.get(correlation)?.(content);
    }
  }

  async call(method, params = {}) {
    const correlation = randomUUID();
    const request = { jsonrpc: "2.0", id: 1, method, params, ...(this.key && { key: this.key }) };
    const reply = this.inTime(method, (resolve) => this.waiting.set(correlation, resolve));
    this.stomp.publish({
      destination: "/queue/ss_admin",
      headers: { "reply-to": REPLIES, "correlation-id": correlation },
      body: JSON.stringify(request),
      skipContentLengthHeader: true, // the broker makes a text message of it, as JMS clients do
    });
    const { result, error } = await reply;
    this.waiting.delete(correlation);
    if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result;
  }

  async login(token) {
    const session = await this.call("session.login", { token, client: "JavaScript example", bind: true });
    this.key = session.key;
  }

  async submit(name, script) {
    return (await this.call("job.submit", { job: { name, script } })).id;
  }

  // Waits until an event says that the job is in this state.
  async waitFor(id, state) {
    const told = () => {
      for (let event; (event = this.events.shift()); ) {
        const job = event.method === "event.job" && event.params.job;
        if (job && job.id === id && job.state === state) return true;
      }
      return false;
    };
    await this.inTime(`${state} of job ${id}`, (resolve) => {
      const listener = () => told() && (this.listeners.delete(listener), resolve());
      this.listeners.add(listener);
      listener();
    });
    console.log("job", id, state);
  }

  inTime(what, start) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), PATIENCE_MS);
      start((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }

  async close() {
    await this.call("session.logout");
    await this.stomp.deactivate();
  }
}

const [host, port, user] = process.argv.slice(2);
// Secrets come from the environment: arguments can be read by everybody on the machine.
const client = new BeamqClient(host, Number(port), user, process.env.BROKER_PASSWORD);
await client.connect();
await client.login(process.env.BEAMQ_TOKEN);
await client.call("events.subscribe", { kinds: ["job", "queue"] });
const slow = await client.submit("slow", "import time\nfor n in range(1000):\n    time.sleep(0.01)\n");
await client.waitFor(slow, "running");
await client.call("run.pause");
await client.waitFor(slow, "paused");
// The queue can be edited while something is active.
const first = await client.submit("first 😀", "print('first')");
const second = await client.submit("second", "print('second')");
await client.call("queue.move", { ids: [second], place: "front" });
await client.call("job.remove", { ids: [first] });
await client.call("run.resume");
await client.waitFor(slow, "running");
await client.call("run.abort", { why: "the example is over" });
await client.waitFor(slow, "aborted");
await client.call("queue.release"); // an abort holds the queue until somebody says go on
await client.waitFor(second, "succeeded");
await client.close();
console.log("done");
