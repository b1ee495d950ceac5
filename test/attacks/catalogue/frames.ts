/** Owns the attempts to speak in the channel's own tongue: forged, torn and endless frames, on any descriptor. */
import assert from "node:assert/strict";
import { underLandlock } from "../grade.ts";
import { assertFailed, type Outcome, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";

/** Finds the session's own connection, and writes what looks like frames to it. */
const FORGERY = `
import json, os, socket, struct, sys
def connections():
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                yield int(name)
        except OSError:
            pass
def send(data):
    for descriptor in connections():
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view):]
            except BlockingIOError:
                pass
def frame(kind, payload):
    return struct.pack("<I", len(payload) + 1) + kind + payload
def message(**fields):
    return frame(b"J", json.dumps(fields).encode())
def own_id():
    frame = sys._getframe()
    while "execution_id" not in frame.f_locals or frame.f_locals["execution_id"] is None:
        frame = frame.f_back
    return frame.f_locals["execution_id"]
def result(execution_id, value="1"):
    return message(type="result", execution_id=execution_id, value=value, repr="forged", execution_time=0.1)
`;

/** Gets a connection to the runner as a session's own processes do that may not make sockets. */
const CALL_THE_WARDEN = `
def call_the_warden():
    mine, theirs = socket.socketpair()
    shared = socket.socket(fileno=3)
    try: shared.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, theirs.fileno().to_bytes(4, "little"))])
    finally: shared.detach()
    theirs.close()
    mine.settimeout(5)
    return socket.socket(fileno=socket.recv_fds(mine, 8, 4)[1][0])
`;

/** Such code may end in whatever way, so long as it is one; what counts is the next execution. */
function endsSomehow([outcome]: readonly Outcome[]): void {
  assert.ok(outcome);
}

function strangersKeepNobodyOut([, first, , second]: readonly Outcome[]): void {
  assert.equal(resultOf(first), 2);
  assert.equal(resultOf(second), 2);
}

/** @param underLandlockToo the code for a session without sockets, which calls its warden instead. */
function forged(
  name: string,
  code: string,
  contained: Attack["contained"] = endsSomehow,
  underLandlockToo: string | null = null,
): Attack {
  const because = "there are no sockets: strangers come through the warden";
  const lesser =
    underLandlockToo === null
      ? []
      : [{ applies: underLandlock, because, code: `${FORGERY}\n${underLandlockToo}`, contained }];
  return { name, code: `${FORGERY}\n${code}`, contained, timeout: 5, lesser };
}

/**
 * Code that ends its own execution by forgery goes on behind it, until the runner notices by what it says next. That costs the
 * attacker one more execution, which is told so.
 */
function forgedEnd(name: string, code: string): Attack {
  return {
    ...forged(name, code),
    code: [`${FORGERY}\n${code}`, "1"],
    mayLoseState: true,
    contained([, next]) {
      if (next?.end.type === "error") assertFailed(next, "process_died");
    },
  };
}

function endsTheProcess([outcome]: readonly Outcome[]): void {
  assertFailed(outcome, "process_died");
}

export const frameAttacks: readonly Attack[] = [
  forged(
    "a forged result of another execution ends the process",
    "send(result('another'))\nwhile True: pass",
    endsTheProcess,
  ),
  forgedEnd(
    "a forged result of one's own execution is its only one",
    "send(result(own_id(), '\"forged\"'))\nprint('after')\n'real'",
  ),
  forgedEnd(
    "a thousand forged results of one's own execution end one execution",
    "data = result(own_id()) * 1000\nsend(data)\n7",
  ),
  forged(
    "a result whose value would break out of its frame is refused",
    `send(result(own_id(), '1},"seq":999999,"data":{"value":1'))\nwhile True: pass`,
    endsTheProcess,
  ),
  forged(
    "a frame that announces four gigabytes ends the process",
    "send(b'\\xff' * 5)\nwhile True: pass",
    endsTheProcess,
  ),
  forged("an empty frame ends the process", "send(bytes(5))\nwhile True: pass", endsTheProcess),
  forged("a frame of no known kind ends the process", "send(frame(b'?', b'x'))\nwhile True: pass", endsTheProcess),
  forged(
    "a blob that nobody asked for ends the process",
    "send(frame(b'B', b'x' * 1000))\nwhile True: pass",
    endsTheProcess,
  ),
  forged("a frame that is no JSON ends the process", "send(frame(b'J', b'{'))\nwhile True: pass", endsTheProcess),
  forged(
    "a message of the keeper's ends the process",
    `send(message(type="exited", pid=1, code=0, signal=None))\nwhile True: pass`,
    endsTheProcess,
  ),
  forged(
    "output out of order ends the process",
    "send(frame(b'O', struct.pack('<QB', 2**63, 1) + b'x'))\nprint('y')\nwhile True: pass",
  ),
  forged(
    "output of no stream ends the process",
    "send(frame(b'O', struct.pack('<QB', 0, 9) + b'x'))\nwhile True: pass",
    endsTheProcess,
  ),
  forged(
    "answers that nobody asked for are nobody's",
    `send(message(type="snapshot_taken", id="1", pid=1, ended=[], threads=[], pause=0))\n8`,
  ),
  forged("half a frame and a sudden end are no frame", "send(result(own_id())[:-3])\nos._exit(0)", endsTheProcess),
  forged(
    "data nested past any stack ends the process",
    `
deep = b'{"type":"display","execution_id":"' + own_id().encode() + b'","mime":{},"metadata":{"x":'
send(frame(b"J", deep + b"[" * 10**6 + b"]" * 10**6 + b"}}"))
while True: pass`,
  ),
  forged(
    "a value nested past any stack is a value or no value",
    `send(result(own_id(), "[" * 10**6 + "]" * 10**6))\nwhile True: pass`,
  ),
  forged(
    "keys that name prototypes change none",
    `send(message(type="display", execution_id=own_id(), mime={"__proto__": "x"}, metadata={"__proto__": {"polluted": 1}}))\n9`,
    ([outcome]) => {
      resultOf(outcome);
      assert.equal(({} as { polluted?: number }).polluted, undefined);
    },
  ),
  forged(
    "frames as large as they may be, one after another, do not hold up the neighbour",
    `
filler = ",".join(["{}"] * 10_000_000)
large = message(type="display", execution_id=own_id(), mime={}, metadata={})[:-2]
payload = large[5:] + b'"x":[' + filler.encode() + b"]}}"
data = frame(b"J", payload)
while True: send(data)`,
    ([outcome]) => assert.equal(outcome?.end.type, "error"),
  ),
  {
    ...forged("endless displays end at the limit on output", `while True: display("x" * 100_000)`),
    session: { outputMaxCharacters: 8 * 1024 * 1024 },
    contained([outcome]) {
      assertFailed(outcome, "output_limit");
    },
  },
  {
    ...forged(
      "endless questions end at the limit on output",
      `
data = message(type="input", execution_id=own_id(), input_id="i", prompt="?" * 10_000, password=False)
while True: send(data)`,
    ),
    session: { outputMaxCharacters: 8 * 1024 * 1024 },
    contained([outcome]) {
      assertFailed(outcome, "output_limit");
    },
  },
  forged(
    "an answer's question asked twice, and for another execution, is nobody's",
    `send(message(type="input", execution_id="another", input_id="i", prompt="?", password=False))\nwhile True: pass`,
    endsTheProcess,
  ),
  forged(
    "strangers at the door get nowhere, however many",
    `
strangers = []
for number in range(300):
    stranger = socket.socket(socket.AF_UNIX)
    try:
        stranger.connect("/run/pyrepl/channel.sock")
        stranger.send(message(type="hello", role="live", token=f"{number:032x}", pid=2) if number % 2 else b"\\x10")
    except OSError:
        pass
    strangers.append(stranger)
len(strangers)`,
    ([outcome]) => assert.equal(resultOf(outcome), 300),
    `
${CALL_THE_WARDEN}
strangers = []
for number in range(300):
    stranger = call_the_warden()
    try: stranger.send(message(type="hello", role="live", token=f"{number:032x}", pid=2) if number % 2 else b"\\x10")
    except OSError: pass
    strangers.append(stranger)
# What is no request is thrown away, whatever comes with it.
shared = socket.socket(fileno=3)
for request, descriptors in ((b"", [0]), (b"x" * 100, []), (b"c", []), (b"c", [0, 0]), (b"c", [0]), (b"c", [3])):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"".join(fd.to_bytes(4, "little") for fd in descriptors))]
    shared.sendmsg([request], rights if descriptors else [])
shared.detach()
len(strangers)`,
  ),
  {
    name: "strangers that wait at the door do not keep out who is expected",
    code: [
      `
import os, socket, time
if os.fork() == 0:
    held = []
    while True:
        stranger = socket.socket(socket.AF_UNIX)
        try:
            stranger.connect("/run/pyrepl/channel.sock")
            held.append(stranger)
        except OSError:
            held.clear()
        time.sleep(0.001)`,
      "1 + 1",
      "import os; os._exit(1)",
      "1 + 1",
    ],
    mayLoseState: true,
    contained: strangersKeepNobodyOut,
    lesser: [
      {
        applies: underLandlock,
        because: "there are no sockets: strangers come through the warden",
        code: [
          `
import os, socket, time
${CALL_THE_WARDEN}
if os.fork() == 0:
    held = []
    while True:
        try: held.append(call_the_warden())
        except OSError: held.clear()
        time.sleep(0.001)`,
          "1 + 1",
          "import os; os._exit(1)",
          "1 + 1",
        ],
        contained: strangersKeepNobodyOut,
      },
    ],
  },
  {
    name: "frames written to every descriptor reach nobody as frames",
    code: `${FORGERY}
import os
forgery = result("x") + message(type="hello", role="live", token="0" * 32, pid=2)
for descriptor in range(0, 1024):
    try:
        os.write(descriptor, forgery)
    except OSError:
        pass`,
    contained: endsSomehow,
  },
  {
    name: "output frames of one byte, without end, leave the neighbour its turn",
    code: [
      `${FORGERY}
offset = 0
while True:
    data = bytearray()
    for _ in range(10_000):
        data += frame(b"O", struct.pack("<QB", offset, 1) + b"x")
        offset += 1
    send(data)`,
      // Its own output no longer follows what it forged.
      "print(1)",
    ],
    timeout: 2,
    mayLoseState: true,
    contained([outcome, next]) {
      assert.equal(outcome?.end.type, "error");
      if (next?.end.type === "error") assertFailed(next, "process_died");
    },
  },
];
