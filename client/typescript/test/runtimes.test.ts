import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Lab, without } from "./lab.js";

const smoke = fileURLToPath(new URL("../runtimes/smoke.mjs", import.meta.url));

// Node itself, and the other runtimes where they are installed.
for (const [runtime, ...args] of [[process.execPath], ["bun"], ["deno", "run", "--no-prompt", "--allow-net"]] as [string, ...string[]][]) {
  const name = runtime.replace(/.*\//, "");
  test(`in ${name}`, { skip: without("go", "version") || without(runtime, "--version"), timeout: 120_000 }, async (t) => {
    await Lab.run(["-quota", "20", "-window", "8s"], async (lab) => {
      const { stdout } = await promisify(execFile)(runtime, [...args, smoke, lab.url]);
      assert.match(stdout, /^smoke: /);
      t.diagnostic(`${name} ${stdout.trim()}`);
    });
  });
}
