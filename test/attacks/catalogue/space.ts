/** Owns the attacks on the room for files, and on descriptors. */
import assert from "node:assert/strict";
import { isMeasured, underLandlock } from "../grade.ts";
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
    lesser: [
      {
        applies: isMeasured,
        because: "files are on disk: a session that makes more than it may is ended",
        code: [
          `
import os, time
for number in range(10**6): os.close(os.open(str(number), os.O_CREAT | os.O_WRONLY))
time.sleep(15)`,
          "1",
        ],
        contained([outcome]) {
          assert.equal(outcome?.end.type, "error");
        },
        mayLoseState: true,
      },
    ],
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
    lesser: [
      {
        applies: (grade) => underLandlock(grade) && !isMeasured(grade),
        because: "Landlock looks at every folder above a file, so that the time of the execution ends first",
        code: `
import os
for depth in range(5_000):
    os.mkdir("d")
    os.chdir("d")
os.chdir("/workspace")`,
        contained([outcome]) {
          assert.equal(outcome?.end.type, "result");
        },
      },
      {
        applies: isMeasured,
        because:
          "files are on disk: a session that makes more folders than it may, or deeper ones than can be counted, is ended",
        code: `
import os, time
for depth in range(10**5):
    os.mkdir("d")
    os.chdir("d")
time.sleep(15)`,
        contained([outcome]) {
          assert.equal(outcome?.end.type, "error");
        },
        mayLoseState: true,
      },
    ],
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
