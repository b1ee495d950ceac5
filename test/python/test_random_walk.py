"""A random walk of executions, failures, interrupts, deaths and restores against a model: the state always agrees."""

from __future__ import annotations

import os
import random
import time
import unittest

from channel_driver import Copy, Ended
from session_case import SessionCase

STEPS = int(os.environ.get("PYREPL_WALK_STEPS", "120"))
DEATHS = (
    "import os; os._exit(3)",
    "import os; os.kill(os.getpid(), 9)",
    "import ctypes; ctypes.string_at(0)",
    "import os; print('x' * 1000); os.abort()",
    "import os; os.closerange(3, 4096); print('x'); input()",
)


class Walk(SessionCase):
    def test_agrees_with_its_model_at_every_step(self) -> None:
        seed = int(os.environ.get("PYREPL_WALK_SEED", "3"))
        chance = random.Random(seed)
        self.run_code("n = 0; log = []; alias = log")
        model: tuple[int, list[int]] = (0, [])
        snapshots: list[tuple[Copy, tuple[int, list[int]]]] = []
        for step in range(STEPS):
            n, log = model
            action = chance.choice(
                ("run", "run", "fail", "interrupt", "snapshot", "restore", "die", "input", "checkpoint")
            )
            if action == "run":
                outcome = self.run_code(f"n += 1; log.append({step}); print({step}); n")
                self.assertEqual((outcome.value, outcome.text()), (n + 1, f"{step}\n"))
                model = (n + 1, [*log, step])
            elif action == "fail":
                self.assertEqual(self.run_code(f"log.append({step}); 1 / 0").error, "ZeroDivisionError")
                model = (n, [*log, step])
            elif action == "interrupt":
                execution_id = self.session.begin("while True: print('spin')")
                self.session.signal(2)
                time.sleep(0.01)
                self.session.signal(2)
                self.assertEqual(self.session.finish(execution_id).last["reason"], "interrupted")
            elif action == "input":
                self.assertEqual(self.run_code("input('?')", str(step)).value, str(step))
            elif action == "snapshot":
                snapshots.append((self.session.snapshot()[0], model))
                if len(snapshots) > 4:
                    self.session.drop(snapshots.pop(0)[0])
            elif action == "restore" and snapshots:
                peer, model = chance.choice(snapshots)
                self.session.restore(peer, [other for other, _ in snapshots])
            elif action == "die":
                model = self._die(chance, snapshots, model)
            elif action == "checkpoint" and snapshots:
                peer, model = chance.choice(snapshots)
                blob = self.session.checkpoint(peer)
                self.assertEqual(self.session.load(blob.content)["missing"], [])
            state = self.run_code("[n, log, alias is log]").value
            self.assertEqual(state, [*model, True], f"step {step} of seed {seed}: {action}")

    def _die(
        self, chance: random.Random, snapshots: list[tuple[Copy, tuple[int, list[int]]]], model: tuple[int, list[int]]
    ) -> tuple[int, list[int]]:
        before, _ = self.session.snapshot()
        self.session.start("n = -1; log.append('lost')\n" + chance.choice(DEATHS))
        with self.assertRaises(Ended):
            while True:
                self.session.live.receive()
        while self.session.keeper.receive()["type"] != "exited":
            pass
        self.session.restore(before, [peer for peer, _ in snapshots])
        self.session.drop(before)
        return model


if __name__ == "__main__":
    unittest.main()
