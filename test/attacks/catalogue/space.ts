/** Owns the attacks on the room for files, and on descriptors. */
import assert from "node:assert/strict";
import { assertFailed, printedBy, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";

const MIB = 1024 * 1024;

export const fileAttacks: readonly Attack[] = [
  {
    name: "a full workspace is ENOSPC, and free again once it is emptied",
    code: [
      `
with open("big", "wb", buffering=0) as file:
    try:
        while True: file.write(bytes(1 << 20))
    except OSError as error:
        print(error.errno)`,
      "import os; os.unlink('big'); open('small', 'w').write('fits')",
    ],
    session: { limits: { workspaceBytes: 64 * MIB } },
    contained([fill, afterwards]) {
      assert.match(printedBy(fill), /^(27|28)\n$/);
      assert.equal(resultOf(afterwards), 4);
    },
  },
  {
    name: "a sparse file of a terabyte is EFBIG",
    code: `
with open("sparse", "wb") as file:
    try:
        file.truncate(10**12)
    except OSError as error:
        print(error.errno)`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "27\n");
    },
  },
  {
    name: "a million small files end at the limit on files",
    code: [
      `
import os
try:
    for number in range(10**6): os.close(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY))
except OSError as error:
    print(error.errno, number)`,
      "for name in os.listdir('/tmp'): os.unlink('/tmp/' + name)",
    ],
    timeout: 30,
    contained([outcome]) {
      assert.match(printedBy(outcome), /^28 65\d{3}\n$/);
    },
  },
  {
    name: "folders nested past any path end at the limit on files, and go with the session",
    code: `
import os
try:
    for depth in range(10**6):
        os.mkdir("d")
        os.chdir("d")
except OSError as error:
    print(error.errno)
os.chdir("/workspace")`,
    timeout: 30,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "28\n");
    },
  },
  {
    name: "all file descriptors of a process are its own loss, and only for a while",
    code: [
      `
import os
held = []
try:
    while True: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print(error.errno, len(held) > 900)`,
      "import json; open('/workspace/x', 'w')",
      "for descriptor in held: os.close(descriptor)",
    ],
    contained([outcome, starved]) {
      assert.equal(printedBy(outcome), "24 True\n");
      assertFailed(starved, "exception", "OSError");
    },
  },
];
