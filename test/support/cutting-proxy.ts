/** A TCP proxy in front of the product that a test can cut: every connection through it ends without a closing handshake. */

import type { AddressInfo } from "node:net";
import { createServer, connect as openSocket, type Socket } from "node:net";

export interface CuttingProxy {
  url: string;
  /** Ends every connection as a lost network does. */
  cut(): void;
  /** True: ends every connection and each new one, as a network that is split does. False: lets connections through again. */
  block(isBlocked: boolean): void;
  close(): Promise<void>;
}

/** Starts a proxy to `target`, for example `http://127.0.0.1:8787`. */
export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let isBlocked = false;
  const server = createServer((near) => {
    if (isBlocked) {
      near.resetAndDestroy();
      return;
    }
    const far = openSocket(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    block(blocked) {
      isBlocked = blocked;
      if (blocked) cut();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}
