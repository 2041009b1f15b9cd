import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** Set where a test must not skip itself for want of Go or a browser. */
const required = process.env.WEIR_REQUIRE_ALL === "1";

/** Why a test that needs this command is skipped; false if it is not. */
export function without(command: string, ...args: string[]): string | false {
  if (required || spawnSync(command, args, { stdio: "ignore" }).status === 0) return false;
  return `${command} is not installed`;
}

/** Runs a Go program of this repository, for the time of f, which gets its lines. */
export async function running(program: string, args: string[], f: (line: () => Promise<string>) => Promise<void>): Promise<void> {
  const bin = fileURLToPath(new URL(`./${program.replaceAll("/", "-")}`, import.meta.url));
  const built = spawnSync("go", ["build", "-o", bin, program], { cwd: root, encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
  const child = spawn(bin, args, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  try {
    await f(async () => String((await lines.next()).value));
  } finally {
    stop(child);
    await ended;
  }
}

/** Ends a child that this process started. */
export function stop(child: ChildProcess): void {
  child.stdin?.end();
  child.kill();
}

/** One call as the server saw it; times in nanoseconds since its start. */
export interface Call {
  client: string;
  at: number;
  answered: number;
  status: number;
  retryAfter: number;
}

export interface LabWindow {
  reset: number;
  admitted: number;
  refused: number;
}

/** The laboratory: three nodes with one budget behind one address. */
export class Lab {
  private constructor(readonly url: string) {}

  static async run(args: string[], f: (lab: Lab) => Promise<void>): Promise<void> {
    await running("./integration/clientlab/serve", args, async (line) => {
      await f(new Lab(await line()));
    });
  }

  async calls(client: string): Promise<Call[]> {
    const all = (await (await fetch(`${this.url}/lab/calls`)).json()) as Call[];
    return all.filter((c) => c.client === client);
  }

  async windows(): Promise<LabWindow[]> {
    return (await (await fetch(`${this.url}/lab/windows`)).json()) as LabWindow[];
  }

  /** A request for a token, by this client. */
  token(client: string): [string, Omit<RequestInit, "headers"> & { headers: Record<string, string> }] {
    const body = JSON.stringify({ code: "c", agentId: "a" });
    return [`${this.url}/v1/token`, { method: "POST", body, headers: { "Content-Type": "application/json", "X-Client": client } }];
  }
}
