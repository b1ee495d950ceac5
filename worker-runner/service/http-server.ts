/** Owns the listening socket. When it closes, responses that are under way are finished first. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";

const FINISH_DEADLINE_MS = 1000;

export class HttpServer {
  /** For upgrades. */
  readonly server: Server;
  #isClosing = false;

  constructor(answer: (request: Request) => Response | Promise<Response>) {
    this.server = createAdaptorServer({ fetch: answer }) as Server;
    // A large file may take longer than the default five minutes. The routes notice a sender that falls silent.
    this.server.requestTimeout = 0;
    this.server.on("request", (_request: IncomingMessage, response: ServerResponse) => {
      // A keep-alive connection would keep the server from closing.
      response.once("close", () => {
        if (this.#isClosing) setImmediate(() => this.server.closeIdleConnections());
      });
    });
  }

  /**
   * @param port 0: any free port.
   * @returns the URL, for example `http://127.0.0.1:8788`.
   * @throws the server's error, for example `EADDRINUSE`.
   */
  listen(port: number, host: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(port, host, () => {
        this.server.off("error", reject);
        const { address, family, port: found } = this.server.address() as AddressInfo;
        resolve(`http://${family === "IPv6" ? `[${address}]` : address}:${found}`);
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const cut = setTimeout(() => this.server.closeAllConnections(), FINISH_DEADLINE_MS);
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    clearTimeout(cut);
  }
}
