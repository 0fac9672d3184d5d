// A TCP connection that looks like a WebSocket, for brokers without one (Debian's ActiveMQ): stompjs asks
// for no more than this. In a browser, leave this file out and give stompjs the broker's ws:// address.

import net from "node:net";

export class TcpSocket {
  constructor(host, port) {
    this.binaryType = "arraybuffer";
    this.url = `tcp://${host}:${port}`;
    this.readyState = 0; // connecting
    this.socket = net.createConnection({ host, port, noDelay: true });
    this.socket.on("connect", () => {
      this.readyState = 1; // open
      this.onopen?.({});
    });
    this.socket.on("data", (data) =>
      this.onmessage?.({ data: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) }),
    );
    this.socket.on("error", (error) => this.onerror?.(error));
    this.socket.on("close", () => {
      this.readyState = 3; // closed
      this.onclose?.({ code: 1000, reason: "", wasClean: true });
    });
  }

  send(data) {
    this.socket.write(typeof data === "string" ? data : Buffer.from(data));
  }

  close() {
    this.readyState = 2; // closing
    this.socket.end();
  }

  terminate() {
    this.socket.destroy();
  }
}
