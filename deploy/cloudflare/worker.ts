/** The Worker's entry on Cloudflare: the edge, and its runners as Cloudflare Containers beside it. */
import { Container } from "@cloudflare/containers";
import edge from "../../src/index.ts";

export { ClientSession, Fleet, TenantLedger } from "../../src/index.ts";

interface ContainerBindings {
  RUNNERS: DurableObjectNamespace<Runner>;
  RUNNER_TOKEN: string;
  /** The Worker's public address, where runners register. */
  EDGE_URL: string;
  /** How many runners are kept running. */
  RUNNER_COUNT: string;
}

const RUNNER_PORT = 8788;
/** Longer than the pause between two runs of the cron trigger, so that a runner without calls stays. */
const SLEEP_AFTER = "10m";

/** One runner in a container. The edge reaches it by the address `http://<name>.runner.internal`. */
export class Runner extends Container<ContainerBindings> {
  override defaultPort = RUNNER_PORT;
  override sleepAfter = SLEEP_AFTER;

  /** Starts the runner named `name` if it does not run, and waits until it listens. */
  async keep(name: string): Promise<void> {
    await this.startAndWaitForPorts({
      ports: RUNNER_PORT,
      startOptions: {
        envVars: {
          RUNNER_ID: name,
          RUNNER_TOKEN: this.env.RUNNER_TOKEN,
          EDGE_URL: this.env.EDGE_URL,
          PUBLIC_URL: `http://${name}.runner.internal`,
        },
      },
    });
    this.renewActivityTimeout();
  }
}

export default {
  fetch: edge.fetch,
  /** Keeps `RUNNER_COUNT` runners; the cron trigger of wrangler.toml calls it each minute. */
  async scheduled(_event: ScheduledController, env: ContainerBindings): Promise<void> {
    const names = Array.from({ length: Number(env.RUNNER_COUNT) }, (_, index) => `runner-${index + 1}`);
    await Promise.all(names.map((name) => env.RUNNERS.get(env.RUNNERS.idFromName(name)).keep(name)));
  },
} satisfies ExportedHandler<ContainerBindings & Parameters<typeof edge.fetch>[1]>;
