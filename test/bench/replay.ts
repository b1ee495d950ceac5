// Measures how long a client that comes back waits for 10 MB of events that it missed.
import type { Product } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";
import { percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

const ROUNDS = 5;
const MISSED_CODE = "for i in range(10_000): print('r' * 999)";

export async function measureReplay(product: Product): Promise<Figure[]> {
  const clientId = crypto.randomUUID();
  const writer = await SocketClient.open(product.socketUrl, { clientId, checked: false });
  await writer.run(MISSED_CODE);
  const samples = await time(ROUNDS, async () => {
    const reader = await SocketClient.open(product.socketUrl, { clientId, checked: false });
    reader.send({ type: "attach", after: 0, window: 1 << 25 });
    await reader.until((frame) => frame.type === "attached");
    await reader.close();
  });
  await writer.close();
  return [
    { what: "10 MB of missed events, p50", value: percentile(samples, 0.5), unit: "ms", target: { atMost: 300 } },
  ];
}
