/** Owns the attacks through what user code prints, returns or raises. */
import assert from "node:assert/strict";
import { assertFailed, printedBy, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";

const MIB = 1024 * 1024;
const outputMaxCharacters = 8 * MIB;

export const outputAttacks: readonly Attack[] = [
  {
    name: "a line of a gigabyte that does not fit into memory is out_of_memory",
    code: "print('x' * 10**9)",
    timeout: 20,
    contained([outcome]) {
      assertFailed(outcome, "out_of_memory");
    },
  },
  {
    name: "output without end is cut at its limit, and the code with it",
    code: "while True: print('x' * 100_000)",
    session: { outputMaxCharacters },
    timeout: 20,
    contained([outcome]) {
      assertFailed(outcome, "output_limit");
      assert.equal(outcome?.outputCharacters, outputMaxCharacters);
    },
  },
  {
    name: "output without end past C's and a child's descriptors is cut as well",
    code: `
import os
if os.fork() == 0:
    while True: os.write(2, b"y" * 65536)
while True: os.write(1, b"x" * 65536)`,
    session: { outputMaxCharacters },
    timeout: 20,
    contained([outcome]) {
      assertFailed(outcome, "output_limit");
    },
  },
  {
    name: "a million tiny writes arrive whole",
    code: "import sys\nfor _ in range(10**6): sys.stdout.write('x')",
    timeout: 30,
    contained([outcome]) {
      assert.equal(outcome?.outputCharacters, 1e6);
    },
  },
  {
    name: "a storm of carriage returns arrives as it is",
    code: "import sys\nfor at in range(100_000): sys.stdout.write(f'\\r{at}')",
    timeout: 30,
    contained([outcome]) {
      assert.ok(printedBy(outcome).endsWith("\r99999"));
    },
  },
  {
    name: "bytes that are no UTF-8, lone surrogates, NUL and terminal escapes are text like any other",
    code: String.raw`
import os, sys
print("\udcff\ud800 \x00 \x1b]0;title\x07")
sys.stdout.flush()
os.write(1, b"\xff\xfe\xc3\n")
os.write(1, b"\xe2\x82")
os.write(1, b"\xac")`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "\udcff\ud800 \0 \u001b]0;title\u0007\n\udcff\udcfe\udcc3\n€");
    },
  },
  {
    name: "a repr that never ends ends with its time",
    code: "class Slow:\n    def __repr__(self):\n        while True: pass\nSlow()",
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "a repr that raises is said so",
    code: "class Angry:\n    def __repr__(self): raise ValueError('no')\nAngry()",
    contained([outcome]) {
      assert.ok(outcome);
    },
  },
  {
    name: "a repr that prints prints before the result",
    code: "class Chatty:\n    def __repr__(self):\n        print('aside')\n        return 'chatty'\nChatty()",
    contained([outcome]) {
      assert.equal(printedBy(outcome), "aside\n");
    },
  },
  {
    name: "a repr that is no text, or exits, is nobody's end",
    code: [
      "class Odd:\n    def __repr__(self): return 7\nOdd()",
      "class Leaving:\n    def __repr__(self): raise SystemExit(3)\nLeaving()",
      "class Lying(str):\n    def __str__(self): return 7\n    __repr__ = __str__\nLying('x')",
    ],
    contained(outcomes) {
      assert.equal(outcomes.length, 3);
    },
  },
  {
    name: "a huge repr is shortened",
    code: "class Huge:\n    def __repr__(self): return 'x' * 10**8\nHuge()",
    timeout: 20,
    contained([outcome]) {
      const end = outcome?.end;
      const text = end?.data.type === "result" ? (end.data.repr ?? "") : "";
      assert.ok(text.length < 10 * MIB, `${text.length}`);
    },
  },
  {
    name: "a result of a hundred million numbers is no frame of a hundred million numbers",
    code: "list(range(10**7))",
    timeout: 30,
    contained([outcome]) {
      assert.ok(outcome);
      assert.ok(JSON.stringify(outcome.end).length < 40 * MIB);
    },
  },
  {
    name: "values nested past JSON, cyclic, or not numbers are results",
    code: [
      "deep = []\nfor _ in range(100_000): deep = [deep]\ndeep",
      "loop = []\nloop.append(loop)\nloop",
      "[float('nan'), float('inf'), -float('inf'), 10**400]",
      "{'__proto__': {'polluted': True}, 'constructor': 1}",
    ],
    contained(outcomes) {
      for (const outcome of outcomes.slice(1)) resultOf(outcome);
      assert.equal(({} as Record<string, unknown>).polluted, undefined);
    },
  },
  {
    name: "an integer too long to be written out costs no more than its time",
    code: "10 ** 10_000_000",
    timeout: 5,
    contained([outcome]) {
      assert.ok(outcome);
    },
  },
  {
    name: "a traceback of ten thousand frames is an error of bounded size",
    code: `
import sys
sys.setrecursionlimit(20_000)
def step(left):
    if left == 0: raise ValueError("deep")
    (step if left % 2 else other)(left - 1)
def other(left):
    step(left - 1) if left > 1 else step(0)
step(10_000)`,
    timeout: 20,
    contained([outcome]) {
      const { traceback } = assertFailed(outcome, "exception");
      assert.ok(traceback.length < MIB, `${traceback.length}`);
    },
  },
  {
    name: "an error whose own text hangs, raises or is huge is still an error",
    code: [
      "class Mute(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise Mute()",
      "class Wordy(Exception):\n    def __str__(self): return 'x' * 10**8\nraise Wordy()",
      "class Dyed(BaseException):\n    def __str__(self):\n        while True: pass\nraise Dyed()",
    ],
    timeout: 3,
    contained([mute, wordy, dyed]) {
      assertFailed(mute, "exception");
      assert.ok(JSON.stringify(wordy?.end).length < 40 * MIB);
      assert.equal(wordy?.end.type, "error");
      assert.equal(dyed?.end.type, "error");
    },
  },
];
