/** Owns finding out, before anything starts, which ports will be used. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { StartError } from "./settings.ts";

export interface PortWish {
  /** The IP address to listen on. */
  host: string;
  /** 0: any free one. */
  port: number;
  /** The setting that chooses the port, for the message. */
  variable: string;
}

/**
 * Makes sure that every port is free, and that no two are the same.
 *
 * @returns the ports, in the order of the wishes.
 * @throws StartError if one is in use.
 */
export async function claimPorts(wishes: readonly PortWish[]): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (const wish of wishes) servers.push(await listen(wish));
    return servers.map((server) => (server.address() as AddressInfo).port);
  } finally {
    await Promise.all(servers.map((server) => once(server.close(), "close")));
  }
}

async function listen({ host, port, variable }: PortWish): Promise<Server> {
  const server = createServer();
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") {
      throw new StartError(
        `Port ${port} is in use. Stop what uses it, or choose another one: ${variable}=${port + 100}`,
      );
    }
    if (code === "EADDRNOTAVAIL")
      throw new StartError(`This machine does not have the address ${host}; choose another EDGE_HOST.`);
    if (code === "EACCES") throw new StartError(`Port ${port} may not be used; choose one above 1023 by ${variable}.`);
    throw error;
  }
  return server;
}
