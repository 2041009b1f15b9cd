import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { running, stop, without } from "./lab.js";

const skip = without("go", "version") || without("chromium", "--version");

/** How long a browser may take to start on a busy machine, and the page to do its work, in ms. */
const PATIENCE = 120_000;

const POLICY = `
default:
  - {name: default, quota: 100, window: 1m}
routes:
  - pattern: POST /v1/token
    rules:
      - {name: token, quota: 20, window: 8s}
`;

/** What the page tells. */
interface Told {
  error?: string;
  passed: number;
  errors: Record<string, unknown>[];
  waits: [number, string][];
  waited: number;
  status: number;
  aborted: string;
}

/**
 * What runs in the page, which has the client as @weir/client. It is sent as text, so it
 * uses nothing from around it.
 */
const SCRIPT = `
import { Client, RateLimitError } from "/dist/index.js";
const nodes = NODES;
let turn = 0;
// Plain text needs no preflight; JSON does, and so tries that too.
const post = (client, init) => client.fetch(nodes[turn++ % nodes.length] + "/v1/token",
  { method: "POST", body: JSON.stringify({ code: "c", agentId: "a" }), headers: { "Content-Type": "application/json" }, ...init });
const told = { passed: 0, errors: [], waits: [], waited: 0, status: 0, aborted: "" };
try {
  let last;
  const client = new Client({ attempts: 1, errorOnLimit: true, fetch: async (...args) => (last = await fetch(...args)) });
  // The first call is in a window with enough time left for the others.
  for (;;) {
    await post(client);
    const left = client.lastRateLimit.resetAfter;
    if (left === undefined) throw new Error("the limit headers are not exposed");
    if (left >= 4) break;
    await new Promise((resolve) => setTimeout(resolve, left * 1000));
  }
  told.passed = 1;
  for (let i = 1; i < 25; i++) {
    try {
      await post(client);
      told.passed++;
    } catch (e) {
      if (!(e instanceof RateLimitError)) throw e;
      told.errors.push({
        limit: [e.limit, Number(last.headers.get("x-ratelimit-limit"))],
        remaining: [e.remaining, Number(last.headers.get("x-ratelimit-remaining"))],
        reset: [e.reset.getTime() / 1000, Number(last.headers.get("x-ratelimit-reset"))],
        retryAfter: [e.retryAfter, Number(last.headers.get("retry-after"))],
        code: [e.code, "RATE_LIMIT_EXCEEDED"],
        statusCode: [e.statusCode, 429],
      });
    }
  }
  const reason = new Error("enough");
  const abort = new AbortController();
  told.aborted = await post(new Client({ onWait: () => abort.abort(reason) }), { signal: abort.signal }).then(
    (r) => "status " + r.status, (e) => e === reason ? "with its reason" : String(e));

  const patient = new Client({ onWait: (seconds, why) => told.waits.push([seconds, why]) });
  const began = performance.now();
  told.status = (await post(patient)).status;
  told.waited = (performance.now() - began) / 1000;
} catch (e) {
  told.error = String(e && e.stack || e);
}
await fetch("/told", { method: "POST", body: JSON.stringify(told) });
`;

/** Serves the page and the built client on an origin of its own, and waits for what the page tells. */
async function page(f: (origin: string, nodes: (urls: string[]) => void, told: Promise<Told>) => Promise<void>): Promise<void> {
  let urls: string[] = [];
  let tell: (told: Told) => void = () => undefined;
  const told = new Promise<Told>((resolve) => (tell = resolve));
  const serve = async (req: IncomingMessage, res: ServerResponse) => {
    const path = req.url ?? "";
    if (path === "/told") {
      let text = "";
      for await (const chunk of req) text += String(chunk);
      res.end();
      tell(JSON.parse(text) as Told);
    } else if (/^\/dist\/[a-z]+\.js$/.test(path)) {
      res.setHeader("Content-Type", "text/javascript").end(readFileSync(new URL(`..${path}`, import.meta.url)));
    } else {
      const script = SCRIPT.replace("NODES", JSON.stringify(urls));
      res.setHeader("Content-Type", "text/html").end(`<!doctype html><title>weir</title><script type="module">${script}</script>`);
    }
  };
  const server = createServer((req, res) => void serve(req, res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await f(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, (u) => (urls = u), told);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Opens a URL in a headless Chromium for the time of f. */
async function chromium(dir: string, url: string, f: () => Promise<void>): Promise<void> {
  const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", `--user-data-dir=${dir}`, url];
  const child = spawn("chromium", args, { stdio: "ignore" });
  const ended = new Promise((resolve) => child.on("close", resolve));
  try {
    await f();
  } finally {
    stop(child);
    await ended;
  }
}

test("in a browser, against the example on three nodes of another origin", { skip, timeout: PATIENCE }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "weir-browser-"));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  });
  const policy = join(dir, "policy.yaml");
  writeFileSync(policy, POLICY);
  await page(async (origin, nodes, told) => {
    const flags = ["-nodes", "3", "-http", "127.0.0.1:0", "-bind", "127.0.0.1:0", "-drain", "0s", "-policy", policy, "-cors-origin", origin];
    await running("./examples/authservice", flags, async (line) => {
      const urls: string[] = [];
      while (urls.length < 3) urls.push(/http:\/\/[0-9.:]+/.exec(await line())?.[0] ?? "no address");
      nodes(urls);
      await chromium(dir, origin, async () => {
        check(await told, (text) => {
          t.diagnostic(text);
        });
      });
    });
  });
});

function check(told: Told, say: (text: string) => void): void {
  assert.equal(told.error, undefined);
  assert.equal(told.passed, 20, "of 25");
  assert.equal(told.errors.length, 5);
  for (const e of told.errors) {
    for (const [name, pair] of Object.entries(e)) {
      const [got, want] = pair as [unknown, unknown];
      assert.equal(got, want, name);
    }
  }
  assert.equal(told.aborted, "with its reason");
  assert.deepEqual(told.waits.map(([, why]) => why), ["retry-after"]);
  const asked = told.waits[0]?.[0] ?? NaN;
  assert.ok(told.waited >= asked, `${String(told.waited)} s, not ${String(asked)}`);
  assert.notEqual(told.status, 429);
  say(`chromium: 25 calls, ${String(told.passed)} passed, 5 errors equal to their headers; asked to wait, it waited ${told.waited.toFixed(3)} s`);
}
