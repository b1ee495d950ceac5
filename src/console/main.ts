/** Owns the start of the console page: it puts the parts together and gives the buttons their meaning. */
import type { z } from "zod";
import type { TransactionPolicy } from "../protocol/client-message.ts";
import { Console } from "./console.ts";
import { createEditor } from "./editor.ts";
import { loadIdentity, newClientId, saveIdentity } from "./identity.ts";
import { byId } from "./page.ts";

const identity = loadIdentity();
const page = new Console(identity, openSession);
const policy = byId("policy", HTMLSelectElement);
const timeout = byId("timeout", HTMLInputElement);

const editor = createEditor({
  parent: byId("editor", HTMLDivElement),
  nonce: document.documentElement.dataset.nonce ?? "",
  run: (code) => page.run(code, policy.value as z.infer<typeof TransactionPolicy>, Number(timeout.value) || 30),
  interrupt: () => page.interrupt(),
  complete: (code, cursor) => page.complete(code, cursor),
});

byId("compose", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  editor.run();
  editor.focus();
});
byId("interrupt", HTMLButtonElement).addEventListener("click", () => page.interrupt());
byId("reset", HTMLButtonElement).addEventListener("click", () => {
  if (confirm("Start over with a fresh interpreter? Checkpoints are kept.")) page.reset();
});
byId("checkpoint", HTMLButtonElement).addEventListener("click", () => void page.checkpoint());
byId("undo", HTMLButtonElement).addEventListener("click", () => void page.undo());
byId("branch", HTMLButtonElement).addEventListener("click", () => page.branch());

const side = byId("side", HTMLElement);
const toggle = byId("toggle-side", HTMLButtonElement);
toggle.addEventListener("click", () => {
  side.hidden = !side.hidden;
  toggle.setAttribute("aria-expanded", String(!side.hidden));
  page.showSide(!side.hidden);
});

const clientId = byId("client-id", HTMLInputElement);
const sessionName = byId("session-name", HTMLInputElement);
const token = byId("token", HTMLInputElement);
clientId.value = identity.clientId;
sessionName.value = identity.session;
token.value = identity.token;
byId("identity", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  connect();
});

/** Goes on as the client and session that the form names. */
function connect(): void {
  const chosen = {
    clientId: clientId.value.trim() || newClientId(),
    session: sessionName.value.trim() || "default",
    token: token.value.trim(),
  };
  saveIdentity(chosen);
  void page.connect(chosen);
}

function openSession(session: string): void {
  sessionName.value = session;
  connect();
  editor.focus();
}

editor.focus();
void page.connect(identity);
