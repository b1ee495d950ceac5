/** Owns how the edge reaches a runner: over the network, or through the binding of a container beside the Worker. */
import { env } from "cloudflare:workers";

/** The host names of runners in containers, as `deploy/cloudflare/worker.ts` gives them: `<name>.runner.internal`. */
const CONTAINER_HOST = /^([^.]+)\.runner\.internal$/;

/** A `fetch` to a runner. @throws as `fetch` does, if the runner cannot be reached. */
export async function fetchRunner(url: URL, init: RequestInit): Promise<Response> {
  const containers = (env as { RUNNERS?: DurableObjectNamespace }).RUNNERS;
  const name = CONTAINER_HOST.exec(url.hostname)?.[1];
  if (containers === undefined || name === undefined) return fetch(url, init);
  return containers.get(containers.idFromName(name)).fetch(url.href, init);
}
