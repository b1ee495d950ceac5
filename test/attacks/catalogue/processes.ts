/** Owns the attacks on processes and the processor. */
import assert from "node:assert/strict";
import { sharesUser, underLandlock } from "../grade.ts";
import { assertFailed, resultOf } from "../outcome.ts";
import type { Attack, Lesser } from "./attack.ts";

/** Under Landlock without a user of its own, the warden counts the processes of a session, and ends a session that has too many. */
const counted: readonly Lesser[] = [
  {
    applies: (grade) => underLandlock(grade) && sharesUser(grade),
    because: "processes are counted by the warden: a session that has too many is ended",
    contained(outcomes) {
      assert.equal(outcomes[0]?.end.type, "error");
    },
    mayLoseState: true,
  },
];

export const processAttacks: readonly Attack[] = [
  {
    name: "a fork bomb ends at the limit on processes",
    code: "import os\nwhile True:\n    os.fork()",
    lesser: counted,
    contained([outcome]) {
      assertFailed(outcome, "exception", "BlockingIOError");
    },
  },
  {
    name: "a fork bomb that swallows every error ends with its time",
    code: `
import os
while True:
    try:
        os.fork()
    except OSError:
        pass`,
    timeout: 1,
    mayLoseState: true,
    lesser: counted,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "children that fork on behind their parent's back are gone when it is brought back",
    code: `
import os, signal
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            os.fork()
        except OSError:
            pass
os._exit(1)`,
    contained([outcome]) {
      assertFailed(outcome, "process_died");
    },
  },
  {
    name: "children that hold every place do not keep the state from coming back",
    code: [
      `
import os, time
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
except BlockingIOError:
    pass`,
      "1 + 1",
      "import os; os._exit(1)",
    ],
    lesser: counted,
    contained([, sum, end]) {
      assert.equal(resultOf(sum), 2);
      assert.match(assertFailed(end, "process_died").state, /^(recovered|restored)$/);
    },
  },
  {
    name: "a thread bomb ends at the limit on processes",
    code: `
import threading
stop = threading.Event()
started = 0
try:
    while True:
        threading.Thread(target=stop.wait, daemon=True).start()
        started += 1
finally:
    stop.set()`,
    lesser: counted,
    contained([outcome]) {
      assertFailed(outcome, "exception", "RuntimeError");
    },
  },
  {
    name: "a daemon by double fork and setsid ends with the session",
    code: `
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(1024):
            try:
                os.close(descriptor)
            except OSError:
                pass
        while True:
            time.sleep(1)
    os._exit(0)
os.wait()[1]`,
    contained([outcome]) {
      assert.equal(resultOf(outcome), 0);
    },
  },
  {
    name: "code that ignores SIGINT ends with its time",
    code: "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "code that catches KeyboardInterrupt for ever ends with its time",
    code: `
while True:
    try:
        while True: pass
    except BaseException:
        pass`,
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "a computation in C that looks at no signal ends with its time",
    code: "pow(10, 10**9)",
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "code that blocks every signal ends with its time",
    code: "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "a process for every place of the limit, each spinning, leaves the neighbour its share",
    code: `
import os
for _ in range(40):
    if os.fork() == 0:
        while True: pass
while True: pass`,
    timeout: 2,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
];
