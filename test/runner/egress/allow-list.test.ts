/** Proves what an entry of EGRESS_ALLOW opens, and that an entry that cannot be understood is refused by its name. */
import { expect, it } from "vitest";
import { AllowList, normalizeHost } from "../../../worker-runner/egress/allow-list.ts";
import { parseAuthority, parseHttpUrl } from "../../../worker-runner/egress/target.ts";

const list = new AllowList(["API.example.org", "*.example.net", "*.example.net:8443", "127.0.0.2:8000", "[::1]:8000"]);

it.each([
  ["api.example.org", 80, "name"],
  ["api.example.org", 443, "name"],
  ["api.example.org", 8443, null],
  ["example.org", 443, null],
  ["x.api.example.org", 443, null],
  ["api.example.org.evil.org", 443, null],
  ["a.example.net", 443, "name"],
  ["a.b.example.net", 8443, "name"],
  ["example.net", 443, null],
  ["aexample.net", 443, null],
  ["127.0.0.2", 8000, "address"],
  ["127.0.0.2", 80, null],
  ["::1", 8000, "address"],
  ["10.0.0.1", 443, null],
  ["1.1.1.1", 443, null],
])("decides about %s port %d", (host, port, expected) => {
  expect(list.permits(host, port)).toBe(expected);
});

it("allows nothing without an entry", () => {
  expect(new AllowList([]).permits("example.org", 443)).toBe(null);
});

it.each([
  ["http://example.org", /"http:\/\/example.org".*write example.org/],
  ["example.org/path", /write example.org/],
  ["example.org?a", /no host/],
  ["example.org:0", /a port is a number/],
  ["example.org:65536", /a port is a number/],
  ["example.org:", /write example.org/],
  ["user@example.org", /write example.org/],
  ["*", /no host/],
  ["*.org", /two labels/],
  ["a.*.org", /no host/],
  ["*.127.0.0.1:80", /two labels/],
  ["10.0.0.1", /an address must name its port/],
  ["[::1]", /an address must name its port/],
  ["0x7f.1", /an address must name its port/],
  ["::1:80", /write example.org/],
])("refuses the entry %s", (entry, message) => {
  expect(() => new AllowList([entry])).toThrow(message);
});

it("takes a host for the same however it is written", () => {
  expect(
    ["EXAMPLE.org", "example.org.", "bücher.example", "0x7f000001", "2130706433", "127.1", "[::FFFF:1.2.3.4]"].map(
      normalizeHost,
    ),
  ).toEqual([
    "example.org",
    "example.org",
    "xn--bcher-kva.example",
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "::ffff:102:304",
  ]);
  const others = ["", "a b", "a@b", "a/b", "a\\b", "a?b", "a#b", "a:80", "a..b", "-a.org", `${"a.".repeat(130)}org`];
  expect(others.filter((text) => normalizeHost(text) !== null)).toEqual([]);
});

it("reads what a request asks for, and nothing into it", () => {
  expect(parseAuthority("Example.org:443")).toEqual({ host: "example.org", port: 443 });
  expect(parseAuthority("[::1]:443")).toEqual({ host: "::1", port: 443 });
  for (const text of [
    "example.org",
    "example.org:",
    "example.org:0",
    "example.org:65536",
    "a@b:443",
    "a/b:443",
    "http://a:443",
    "",
    "a:1:2",
  ]) {
    expect(parseAuthority(text), text).toBe(null);
  }
  expect(parseHttpUrl("http://allowed.org@evil.org/")).toBe(null);
  expect(parseHttpUrl("HTTP://Evil.org:8080/a?b#c")).toEqual({ host: "evil.org", port: 8080, path: "/a?b" });
  expect(parseHttpUrl("http://a.org\\@evil.org/")?.host).toBe("a.org");
  for (const text of ["/path", "https://a.org/", "ftp://a.org/", "http:///", "http://a.org:0/", "*"]) {
    expect(parseHttpUrl(text), text).toBe(null);
  }
});
