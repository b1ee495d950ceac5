/** `pyrepl3 repl` in a pseudo-terminal, against everything real: what a person types, and the screen that comes of it. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { type Product, startProduct } from "../support/product.ts";
import { startTerminal, type Terminal } from "./start-terminal.ts";

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

let product: Product;
let folder: string;
let users = 0;
beforeAll(async () => {
  product = await startProduct();
  folder = await mkdtemp(join(tmpdir(), "pyrepl3-prompt-"));
}, 60_000);
afterAll(async () => {
  await product?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

interface Prompt extends Terminal {
  state: string;
  /** Types a line, and waits for what the screen then ends with, before a new prompt. */
  enter(line: string, ...rows: string[]): Promise<void>;
}

/** The prompt of a user whom no test before has been, once it is there. */
async function openPrompt(env: Record<string, string> = {}, args: string[] = []): Promise<Prompt> {
  users += 1;
  const state = join(folder, `user-${users}`);
  const user = { PYREPL3_URL: product.url, PYREPL3_CLIENT_ID: `prompt-${users}`, XDG_STATE_HOME: state };
  const terminal = startTerminal(["repl", ...args], { ...user, ...env });
  await terminal.endsWith(">>>");
  const enter = async (line: string, ...rows: string[]) => {
    terminal.type(`${line}\r`);
    await terminal.endsWith(`>>> ${line}`, ...rows, ">>>");
  };
  return { ...terminal, state, enter };
}

it("runs lines and blocks, types the indent, and completes names", async () => {
  const prompt = await openPrompt();
  expect(prompt.rows()[0]).toMatch(/^Python 3\.\d+\.\d+, session default of prompt-\d+\. %help lists the commands\.$/);
  await prompt.enter("6 * 7", "42");
  prompt.type("def double(number):\r");
  await prompt.endsWith(">>> def double(number):", "...");
  prompt.type("return 2 * number\r");
  await prompt.endsWith("...     return 2 * number", "...");
  prompt.type("\r");
  await prompt.endsWith("...", ">>>");
  prompt.type("dou\t");
  await prompt.endsWith(">>> double");
  prompt.type("(21)\r");
  await prompt.endsWith(">>> double(21)", "42", ">>>");
  prompt.type("for i in range(2):\r");
  await prompt.endsWith(">>> for i in range(2):", "...");
  prompt.type("print(dou\t");
  await prompt.endsWith("...     print(double");
  prompt.type("(i))\r");
  await prompt.endsWith("...     print(double(i))", "...");
  prompt.type("\r");
  await prompt.endsWith("...", "0", "2", ">>>");
  await prompt.enter("print('no line end', end='')", "no line end");
  prompt.type(CTRL_D);
  expect(await prompt.ended).toBe(0);
  expect(await readFile(join(prompt.state, "pyrepl3/history"), "utf8")).toContain("double(21)\n");
});

it("runs pasted lines, cells and the lines of notebooks", async () => {
  const prompt = await openPrompt();
  prompt.type("for i in range(2):\r    print(i)\r\rprint('after')\r");
  await prompt.endsWith("after", ">>>");
  expect(prompt.rows().filter((row) => /^(\d|after)$/.test(row))).toEqual(["0", "1", "after"]);
  prompt.type("%%bash\r");
  await prompt.endsWith(">>> %%bash", "...");
  prompt.type("echo from a shell\r");
  await prompt.endsWith("... echo from a shell", "...");
  prompt.type("\r");
  await prompt.endsWith("...", "from a shell", ">>>");
  await prompt.enter("!echo one line", "one line");
  prompt.type(CTRL_D);
  expect(await prompt.ended).toBe(0);
});

it("answers input() and getpass(), whose text is neither shown nor kept", async () => {
  const prompt = await openPrompt();
  prompt.type("print('Dear', end=' '); name = input('who? ')\r");
  await prompt.endsWith("Dear who?");
  prompt.type("Ada\r");
  await prompt.endsWith("Dear who? Ada", ">>>");
  await prompt.enter("name", "'Ada'");
  prompt.type("import getpass; len(getpass.getpass())\r");
  await prompt.endsWith("Password:");
  prompt.type("tiger\r");
  await prompt.endsWith("Password:", "5", ">>>");
  prompt.type("input('end of file? ')\r");
  await prompt.endsWith("end of file?");
  prompt.type(CTRL_D);
  await prompt.endsWith("EOFError: EOF when reading a line", ">>>");
  await prompt.enter("'still here'", "'still here'");
  prompt.type("\u001b[A");
  await prompt.endsWith(">>> 'still here'");
  prompt.type("\r");
  await prompt.endsWith(">>> 'still here'", "'still here'", ">>>");
  prompt.type(CTRL_D);
  expect(await prompt.ended).toBe(0);
  expect(prompt.written()).not.toContain("tiger");
  const history = await readFile(join(prompt.state, "pyrepl3/history"), "utf8");
  expect(history).toContain("'still here'\n");
  expect(history).not.toMatch(/tiger|^Ada$/m);
});

it("gives up a line, a block, running code and a question at Ctrl-C", async () => {
  const prompt = await openPrompt();
  prompt.type("half a li");
  await prompt.endsWith(">>> half a li");
  prompt.type(CTRL_C);
  await prompt.endsWith(">>> half a li", "KeyboardInterrupt", ">>>");
  prompt.type("if True:\r");
  await prompt.endsWith(">>> if True:", "...");
  prompt.type(CTRL_C);
  await prompt.endsWith("...", "KeyboardInterrupt", ">>>");
  prompt.type("print('begun', flush=True); all(True for _ in iter(int, 1))\r");
  await prompt.endsWith("begun");
  prompt.type(CTRL_C);
  await prompt.endsWith("KeyboardInterrupt", ">>>");
  prompt.type("input('question? ')\r");
  await prompt.endsWith("question?");
  prompt.type("half an ans");
  await prompt.endsWith("question? half an ans");
  prompt.type(CTRL_C);
  await prompt.endsWith("KeyboardInterrupt", ">>>");
  await prompt.enter("'alive'", "'alive'");
  prompt.type("exit(3)\r");
  expect(await prompt.ended).toBe(3);
});

it("saves, restores, undoes and branches the session's state", async () => {
  const prompt = await openPrompt();
  await prompt.enter("x = 1");
  prompt.type("%checkpoint one\r");
  await expect.poll(() => prompt.rows().at(-2), { timeout: 20_000 }).toMatch(/^saved as [\w-]+$/);
  await prompt.enter("x = 2");
  await prompt.enter("%restore one", "restored one");
  await prompt.enter("x", "1");
  await prompt.enter("x = 3");
  await prompt.enter("%undo", "undone: x = 3");
  await prompt.enter("x", "1");
  await prompt.enter("%branch other", "made the session other; %session other goes on there");
  await prompt.enter("%session other", "now in the session other");
  await prompt.enter("x += 10; x", "11");
  await prompt.enter("%sessions", "SESSION  STATE", "default  ready", "other    ready  (this one)");
  await prompt.enter("%session default", "now in the session default");
  await prompt.enter("x", "1");
  const refusal = "pyrepl3: The state before this execution is no longer kept. [undo_unavailable]";
  await prompt.enter("%undo nothing", refusal);
  await prompt.enter("%branch", "usage: %branch NAME");
  prompt.type("%chec\t");
  await prompt.endsWith(">>> %checkpoint");
  prompt.type(CTRL_C);
  await prompt.endsWith("KeyboardInterrupt", ">>>");
  await prompt.enter("%reset", "a fresh interpreter");
  await prompt.enter("'x' in globals()", "False");
  prompt.type(CTRL_D);
  expect(await prompt.ended).toBe(0);
});

/** Makes `figure`, which displays itself as a PNG of one red pixel. */
const FIGURE = `import struct, zlib; piece = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)); figure = type("Figure", (), {"_repr_png_": lambda self: b"\\x89PNG\\r\\n\\x1a\\n" + piece(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + piece(b"IDAT", zlib.compress(bytes([0, 255, 0, 0]))) + piece(b"IEND", b"")})()`;

it.each([
  ["kitty", { KITTY_WINDOW_ID: "1" }, "\u001b_Ga=T,f=100,q=2,m=0;iVBOR"],
  ["iTerm2", { TERM_PROGRAM: "iTerm.app" }, "\u001b]1337;File=inline=1;size="],
  ["sixel", { TERM: "foot" }, "#180;2;100;0;0#180@"],
  ["none", {}, null],
])("saves figures, and shows them if the terminal can (%s)", async (_, env, sequence) => {
  const figures = join(folder, `figures-${users}`);
  const prompt = await openPrompt(env, ["--figures", figures]);
  prompt.type(`${FIGURE}\r`);
  await prompt.endsWith(">>>");
  prompt.type("display(figure)\r");
  await expect.poll(() => prompt.rows().join(""), { timeout: 20_000 }).toContain(".png>>>");
  const [name = ""] = await readdir(figures);
  expect(prompt.rows().join("")).toContain(`figure saved as ${join(figures, name)}`);
  expect((await readFile(join(figures, name))).toString("latin1")).toMatch(/^\x89PNG/);
  if (sequence === null) expect(prompt.written()).not.toContain("iVBOR");
  else expect(prompt.written()).toContain(sequence);
  prompt.type(CTRL_D);
  expect(await prompt.ended).toBe(0);
});

it("says that the connection is lost, and leaves at Ctrl-C", async () => {
  const proxy = await startCuttingProxy(product.url);
  const prompt = await openPrompt({ PYREPL3_URL: proxy.url });
  prompt.type("print('begun', flush=True); all(True for _ in iter(int, 1))\r");
  await prompt.endsWith("begun");
  await proxy.close();
  await prompt.endsWith("begun", "pyrepl3: the connection is lost, and tried again; Ctrl-C leaves");
  prompt.type(CTRL_C);
  expect(await prompt.ended).toBe(130);
});
