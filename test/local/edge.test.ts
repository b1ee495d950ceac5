import { expect, it } from "vitest";
import { edgeUrl } from "../../src/local/edge.ts";

it.each([
  ["127.0.0.1", "http://127.0.0.1:8787"],
  ["0.0.0.0", "http://127.0.0.1:8787"],
  ["192.0.2.7", "http://192.0.2.7:8787"],
  ["::", "http://[::1]:8787"],
  ["2001:db8::7", "http://[2001:db8::7]:8787"],
])("is reached from this machine at an own address if it listens on %s", (host, url) => {
  expect(edgeUrl(host, 8787)).toBe(url);
});
