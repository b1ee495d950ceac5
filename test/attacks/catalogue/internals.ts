/** Owns the attacks on the interpreter's own code, memory and processes, from inside. */
import assert from "node:assert/strict";
import { assertFailed, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";

export const internalAttacks: readonly Attack[] = [
  {
    name: "replacing what the interpreter's own code is made of does not change what it says",
    code: [
      `
import builtins, gc, io, json, os, pickle, socket, struct, sys, threading, time, traceback, types
class Trap:
    def __getattr__(self, name): raise SystemError("trap")
    def __call__(self, *arguments, **options): raise SystemError("trap")
for module in (json, pickle, socket, struct, traceback, time, io, types):
    for name in list(vars(module)):
        if not name.startswith("__"):
            setattr(module, name, Trap())
for name in ("len", "print", "repr", "str", "isinstance", "type", "getattr", "compile", "exec", "open", "bytes", "int", "dict"):
    setattr(builtins, name, Trap())
for name in list(sys.modules):
    if name.partition(".")[0] not in ("builtins", "sys", "__main__"):
        del sys.modules[name]
sys.stdout = sys.stderr = sys.stdin = sys.__stdout__ = Trap()
sys.excepthook = sys.displayhook = Trap()
sys.path.clear()`,
      "1 + 1",
      "raise ValueError('still told')",
    ],
    async contained([, sum, raised], session) {
      assert.equal(resultOf(sum), 2);
      assertFailed(raised, "exception", "ValueError");
      // What is broken is user code's own, until it starts over.
      await session.reset();
    },
    mayLoseState: true,
  },
  {
    name: "interpreter internals overwritten in place cost the process and not the session",
    code: `
import gc, sys
for name, module in list(sys.modules.items()):
    if name.startswith("pyrepl"):
        for key in list(vars(module)):
            if not key.startswith("__"):
                setattr(module, key, None)
for thing in gc.get_objects():
    if type(thing).__module__.startswith("pyrepl"):
        for key in getattr(type(thing), "__slots__", ()) or list(getattr(thing, "__dict__", ())):
            try: setattr(thing, key, None)
            except Exception: pass`,
    mayLoseState: true,
    contained([outcome]) {
      assert.ok(outcome);
    },
  },
  {
    name: "scribbling over the memory that the keeper reads costs the state and not the session",
    code: [
      `
import ctypes, os
for line in open("/proc/self/maps"):
    if "rw-s" in line:
        low, high = (int(end, 16) for end in line.split()[0].split("-"))
        ctypes.memmove(low, os.urandom(high - low), high - low)
        ctypes.memset(low, 255, 4096)`,
      "1",
      "import os; os._exit(0)",
    ],
    timeout: 1,
    mayLoseState: true,
    contained([outcome]) {
      assert.ok(outcome);
    },
  },
  {
    name: "a process that stops itself, and every other one, is ended and comes back",
    code: [
      `
import os, signal
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        try: os.kill(int(name), signal.SIGSTOP)
        except OSError: pass`,
      "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    ],
    timeout: 1,
    mayLoseState: true,
    contained([, stopped]) {
      assertFailed(stopped, "timeout");
    },
  },
];
