/** Owns the proxies through which code in a runner's sessions reaches the network, one for each session. */
import { Dialer, type EgressSettings } from "./dialer.ts";
import { EgressProxy } from "./egress-proxy.ts";

export class Egress {
  readonly #dialer: Dialer;

  constructor(settings: EgressSettings) {
    this.#dialer = new Dialer(settings);
  }

  /** Opens the proxy of one session, on a new socket at `path`. */
  open(path: string): Promise<EgressProxy> {
    return EgressProxy.open(path, this.#dialer);
  }
}
