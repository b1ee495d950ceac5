// The least that a Durable Object can do: send frames back, or pass them on to one Node process and back.
import { DurableObject } from "cloudflare:workers";

export class Relay extends DurableObject {
  #upstream;

  async fetch(request) {
    const { 0: client, 1: server } = new WebSocketPair();
    const url = new URL(request.url);
    if (url.pathname === "/relay") {
      const response = await fetch(this.env.UPSTREAM, { headers: { upgrade: "websocket" } });
      this.#upstream = response.webSocket;
      this.#upstream.accept();
      this.#upstream.addEventListener("message", (event) => {
        for (const socket of this.ctx.getWebSockets()) socket.send(event.data);
      });
    }
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket, frame) {
    if (this.#upstream) this.#upstream.send(frame);
    else socket.send(frame);
  }
}

export default {
  fetch(request, env) {
    const name = new URL(request.url).pathname;
    return env.RELAY.get(env.RELAY.idFromName(name)).fetch(request);
  },
};
