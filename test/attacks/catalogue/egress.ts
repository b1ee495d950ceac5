/** Owns the attacks on the way out: code whose session may reach a few hosts tries to reach others, and to bring the proxy down. */
import assert from "node:assert/strict";
import { AllowList } from "../../../worker-runner/egress/allow-list.ts";
import { Egress } from "../../../worker-runner/egress/egress.ts";
import { printedBy, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";

/** Names that whoever owns example.org has lead here. */
const LEADING_NOWHERE: Record<string, readonly string[]> = {
  "loopback.example.org": ["127.0.0.1", "::1"],
  "metadata.example.org": ["169.254.169.254", "fd00:ec2::254", "168.63.129.16"],
  "private.example.org": ["10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fe80::1", "ff02::1"],
  "disguised.example.org": ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "0.0.0.0"],
};

const session = {
  egress: new Egress({ allow: new AllowList(["*.example.org"]), resolve: async (name) => LEADING_NOWHERE[name] ?? [] }),
};

/** Sends bytes to the proxy; returns the first line of the answer. */
const ASK = `
import socket
def ask(request):
    with socket.create_connection(("127.0.0.1", 3128), 30) as link:
        link.sendall(request)
        return link.makefile("rb").readline().decode("latin1").strip()
def status(line):
    return (line.split() + ["", "nothing"])[1]
def get(url, host="a.example.org"):
    return ask(f"GET {url} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode("latin1"))
def tunnel(target, host="a.example.org"):
    return ask(f"CONNECT {target} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode("latin1"))
`;

export const egressAttacks: readonly Attack[] = [
  {
    name: "a host that is not allowed is refused in every form of a request",
    session,
    code: `${ASK}
hosts = ["evil.org", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "169.254.169.254", "a.example.org@evil.org", "evil.org#.example.org",
    "example.org", "evilexample.org", "a.example.org.evil.org", "a.example.org:22", "*.example.org", "a.example.org%00.evil.org", "1.1.1.1"]
answers = [status(get(f"http://{host}/")) for host in hosts]
answers += [status(tunnel(host if host.endswith(":22") else f"{host}:443")) for host in hosts]
answers += [status(get(url)) for url in ("/", "*", "https://evil.org/", "file:///etc/passwd", "gopher://evil.org/", "http://", "//evil.org/")]
sorted(set(answers))`,
    contained([outcome]) {
      assert.deepEqual(resultOf(outcome), ["400", "403"]);
    },
  },
  {
    name: "an allowed name that leads to the host, its network or its cloud is refused",
    session,
    code: `${ASK}
names = ${JSON.stringify(Object.keys(LEADING_NOWHERE))}
[get(f"http://{name}/") for name in names] + [tunnel(f"{name}:443") for name in names]`,
    contained([outcome]) {
      const answers = resultOf(outcome) as string[];
      assert.equal(answers.length, 8);
      for (const each of answers) assert.match(each, /^HTTP\/1\.1 403 EGRESS_ALLOW names \S+, but its address is not/);
    },
  },
  {
    name: "a socket of its own reaches nothing but the proxy",
    session,
    code: `
import socket
for host, port in (("127.0.0.1", 80), ("127.0.0.2", 3128), ("0.0.0.0", 22), ("169.254.169.254", 80), ("1.1.1.1", 443), ("::1", 3128), ("10.0.0.1", 3128)):
    try:
        with socket.create_connection((host, port), 2): print("reached", host, port)
    except OSError: pass
print("done")`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "done\n");
    },
  },
  {
    name: "a flood of connections, of silence and of garbage costs its own session the proxy for a while, and nobody else anything",
    session,
    timeout: 60,
    code: [
      `${ASK}
import os
held = []
for count in range(600):
    try:
        link = socket.create_connection(("127.0.0.1", 3128), 5)
        link.send(os.urandom(200) if count % 3 else b"GET http://a.example.org/ HTTP/1.1\\r\\nX: " + b"y" * 40000)
        held.append(link)
    except OSError: pass
for link in held: link.close()
del held, link`,
      `
import time
until = time.monotonic() + 45
while True:
    try: answer = get("http://evil.org/")
    except OSError: answer = ""
    if "503" not in answer and answer or time.monotonic() > until: break
    time.sleep(0.1)
answer`,
    ],
    contained([, outcome]) {
      assert.equal(resultOf(outcome), "HTTP/1.1 403 EGRESS_ALLOW does not allow evil.org:80");
    },
  },
];
