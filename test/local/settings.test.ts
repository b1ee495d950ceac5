import { createServer } from "node:net";
import { expect, it } from "vitest";
import { claimPorts } from "../../src/local/ports.ts";
import { parseStartSettings, ROOT } from "../../src/local/settings.ts";

it("has defaults, and a state folder inside the repository", () => {
  expect(parseStartSettings({ PORT: "" })).toEqual({
    PORT: 8787,
    EDGE_HOST: "127.0.0.1",
    RUNNER_PORT: 8788,
    RUNNERS: 1,
    STATE_DIR: `${ROOT}.wrangler/state`,
    LOG_FORMAT: "auto",
  });
  expect(parseStartSettings({ STATE_DIR: "/var/lib/pyrepl3" }).STATE_DIR).toBe("/var/lib/pyrepl3");
});

it("names each wrong variable", () => {
  const wrong = { PORT: "http", EDGE_HOST: "example.org", RUNNER_PORT: "65536", RUNNERS: "-1" };
  for (const name of Object.keys(wrong)) expect(() => parseStartSettings(wrong)).toThrow(name);
});

it("says which setting chooses another port where one is taken, and finds a free one for 0", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const taken = (server.address() as { port: number }).port;
  const wish = { host: "127.0.0.1", port: taken, variable: "PORT" };
  await expect(claimPorts([wish])).rejects.toThrow(
    `Port ${taken} is in use. Stop what uses it, or choose another one: PORT=`,
  );
  const free = await claimPorts([
    { ...wish, port: 0 },
    { ...wish, port: 0 },
  ]);
  expect(new Set([...free, taken]).size).toBe(3);
  const same = { host: "127.0.0.1", port: free[0] ?? 0, variable: "RUNNER_PORT" };
  await expect(claimPorts([same, same])).rejects.toThrow("RUNNER_PORT=");
  expect(await claimPorts([same])).toEqual([same.port]);
  server.close();
  await expect(claimPorts([{ host: "192.0.2.1", port: 0, variable: "PORT" }])).rejects.toThrow(
    "choose another EDGE_HOST",
  );
});
