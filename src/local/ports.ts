/** Owns finding out, before anything starts, which ports will be used. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { StartError } from "./settings.ts";

const HOST = "127.0.0.1";

/**
 * Makes sure that `port` is free; 0 finds one that is.
 *
 * @param variable the setting that chooses the port, for the message.
 * @throws StartError where it is taken.
 */
export async function claimPort(port: number, variable: string): Promise<number> {
  const server = createServer();
  server.listen(port, HOST);
  try {
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") {
      throw new StartError(
        `Port ${port} is in use. Stop what uses it, or choose another one: ${variable}=${port + 100}`,
      );
    }
    if (code === "EACCES") throw new StartError(`Port ${port} may not be used; choose one above 1023 by ${variable}.`);
    throw error;
  }
  const { port: found } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return found;
}
