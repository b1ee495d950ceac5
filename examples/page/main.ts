/** A page that runs Python on a service of another origin: it asks its own server for a token, and talks to the service itself. */
import { ClientError, connect } from "../../src/client/index.ts";

interface Settings {
  service: string;
  token: string;
}

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

async function loadSettings(): Promise<Settings> {
  return (await fetch("/settings")).json() as Promise<Settings>;
}

const output = element<HTMLPreElement>("output");
const { service } = await loadSettings();
// Tokens are short-lived: the client asks for one at each connection and call.
const python = connect({ url: service, token: async () => (await loadSettings()).token });

element("run").addEventListener("click", async () => {
  output.textContent = "";
  try {
    const { repr, error } = await python.run(element<HTMLTextAreaElement>("code").value, {
      onOutput: (text) => output.append(text),
      onInput: ({ prompt: question }) => prompt(question),
    });
    output.append(error?.traceback ?? repr ?? "");
  } catch (error) {
    output.append(error instanceof ClientError ? `${error.message} [${error.code}]` : String(error));
  }
});
