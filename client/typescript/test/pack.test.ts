import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const root = new URL("../", import.meta.url);

interface Packed {
  files: { path: string }[];
}

test("the package has what it needs, and nothing else", () => {
  const out = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, encoding: "utf8" });
  const files = (JSON.parse(out) as Packed[])[0]?.files.map((f) => f.path).sort() ?? [];
  const modules = ["body", "budget", "client", "clock", "error", "index", "number", "options", "pace", "ratelimit", "retry", "share", "structured", "text"];
  const want = ["LICENSE", "README.md", "package.json", ...modules.flatMap((m) => [`dist/${m}.d.ts`, `dist/${m}.js`])];
  assert.deepEqual(files, want.sort());
});

test("the package depends on nothing", () => {
  const p = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as Record<string, unknown>;
  for (const field of ["dependencies", "peerDependencies", "optionalDependencies", "bundledDependencies"]) {
    assert.equal(p[field], undefined, field);
  }
});

test("the lock files name no registry", () => {
  for (const file of ["package-lock.json", "runtimes/package-lock.json"]) {
    const lock = JSON.parse(readFileSync(new URL(file, root), "utf8")) as { packages: Record<string, { resolved?: string }> };
    assert.ok(Object.keys(lock.packages).length > 10, file);
    assert.deepEqual(Object.entries(lock.packages).filter(([, p]) => p.resolved !== undefined), [], file);
  }
});

test("the built modules import nothing of a runtime's own", () => {
  const index = readFileSync(new URL("dist/index.js", root), "utf8");
  assert.ok(index.includes("weirFetch"));
  for (const m of ["body", "client", "clock", "pace", "ratelimit", "retry"]) {
    const text = readFileSync(new URL(`dist/${m}.js`, root), "utf8");
    for (const [, from] of text.matchAll(/from "([^"]+)"/g)) assert.match(from ?? "", /^\.\//, m);
    assert.ok(!/\b(process|Buffer|require)\b\s*[.(]/.test(text), m);
  }
});
