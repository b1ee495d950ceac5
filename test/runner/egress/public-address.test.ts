/** Proves which addresses count as public. */
import { networkInterfaces } from "node:os";
import { expect, it } from "vitest";
import { isPublicAddress } from "../../../worker-runner/egress/public-address.ts";

it.each([
  ...["0.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"],
  // Metadata of AWS, Azure, Alibaba and Oracle.
  ...["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192"],
  ...["172.16.0.1", "172.31.255.255", "192.168.1.1", "198.18.0.1", "198.19.255.255", "192.0.2.1", "198.51.100.1"],
  ...["203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"],
  ...["::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1"],
  ...["fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "2001::1"],
  ...["2001:db8::1", "2002:7f00:1::1", "3fff::1", "4000::1", "", "localhost", "1.2.3", "8.8.8.8 "],
])("refuses %s", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

it.each([
  ...["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"],
  ...["128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "223.255.255.255"],
  ...["2606:4700:4700::1111", "2001:4860:4860::8888", "2003::1"],
])("takes %s for public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

it("refuses every address of this machine", () => {
  for (const each of Object.values(networkInterfaces()).flat())
    expect(isPublicAddress(each?.address ?? "")).toBe(false);
});
