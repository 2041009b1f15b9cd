// The status page in a headless Chromium: what no test of the handler sees. WEIR_SCREENSHOTS=DIR keeps pictures,
// for which it waits longer; WEIR_REQUIRE_ALL=1 has it fail where Chromium or Go is missing.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import puppeteer from "puppeteer-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PICTURES = process.env.WEIR_SCREENSHOTS;
const PATIENCE = 60_000; // ms, on a busy machine
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

const missing = [[CHROMIUM, "--version"], ["go", "version"]].filter(([name, flag]) => spawnSync(name, [flag]).status !== 0);
if (missing.length > 0 && process.env.WEIR_REQUIRE_ALL) throw new Error("missing: " + missing.join("; "));
const skip = missing.length > 0 && "missing: " + missing.join("; ");

let lab, url, browser, dir;

before(async () => {
  if (skip) return;
  dir = mkdtempSync(join(tmpdir(), "weir-status-"));
  const built = spawnSync("go", ["build", "-o", join(dir, "lab"), "./lab"], { cwd: import.meta.dirname, stdio: "inherit" });
  assert.equal(built.status, 0);
  lab = spawn(join(dir, "lab"), { stdio: ["pipe", "pipe", "inherit"] });
  [url] = await once(createInterface(lab.stdout), "line");
  browser = await puppeteer.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-dev-shm-usage"], protocolTimeout: PATIENCE });
  tell("load");
});

after(async () => {
  await browser?.close();
  if (lab) {
    const gone = once(lab, "exit");
    lab.stdin.end();
    await gone;
  }
  if (dir) rmSync(dir, { recursive: true, force: true });
});

const tell = (word) => lab.stdin.write(word + "\n");

/** Runs f with a page; whatever the browser complains of fails the test: a violated policy, an error of the script. */
async function visit({ dark = false, phone = false, script = true }, f) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (m) => ["error", "warn"].includes(m.type()) && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(String(e)));
  try {
    await page.setBypassCSP(false);
    await page.setJavaScriptEnabled(script);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
    await page.setViewport(phone ? { width: 390, height: 844, isMobile: true, hasTouch: true } : { width: 1000, height: 900 });
    await page.goto(url, { waitUntil: "load", timeout: PATIENCE });
    await f(page);
    assert.deepEqual(complaints.filter((c) => !c.includes("favicon")), []);
  } finally {
    await context.close();
  }
}

/** What axe-core finds. It is put in from outside, past the page's policy. */
async function violations(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run());
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join("; ")}`);
}

/** Keeps the upper part of the page, or one element. */
async function picture(page, name, selector) {
  if (!PICTURES) return;
  const path = join(PICTURES, name + ".png");
  if (selector) return (await page.$(selector)).screenshot({ path });
  const { width } = page.viewport();
  await page.screenshot({ path, captureBeyondViewport: true, clip: { x: 0, y: 0, width, height: width < 500 ? 1700 : 1180 } });
}
const until = (page, f, ...args) => page.waitForFunction(f, { timeout: PATIENCE, polling: 200 }, ...args);
const text = (page, selector) => page.$eval(selector, (e) => e.textContent);

/** Asks the form about a client, and waits for the answer. */
async function explain(page, rule, subject) {
  await page.$eval("#rule", (e, v) => { e.value = v; }, rule);
  await page.$eval("#subject", (e, v) => { e.value = v; }, subject);
  await Promise.all([page.waitForNavigation({ timeout: PATIENCE }), page.click("button[value=explain]")]);
  return text(page, "#answer");
}

for (const how of [{}, { dark: true }, { phone: true }, { phone: true, dark: true }]) {
  test(`axe-core finds nothing, and nothing is wider than the window: ${JSON.stringify(how)}`, { skip }, () => visit(how, async (page) => {
    await until(page, () => document.querySelector("#denied table"));
    await explain(page, "", "198.51.100.1");
    assert.deepEqual(await violations(page), []);
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window, `${content} > ${window}`);
  }));
}

test("it refreshes itself, and leaves the form alone", { skip }, () => visit({}, async (page) => {
  await page.type("#subject", "198.51.100.1");
  const was = await text(page, "#now");
  await until(page, (old) => document.querySelector("#now").textContent !== old, was);
  assert.equal(await page.$eval("#subject", (e) => e.value), "198.51.100.1");
  assert.equal(await page.evaluate(() => document.activeElement.id), "subject");
  await page.focus("#s-members");
  const then = await text(page, "#now");
  await until(page, (old) => document.querySelector("#now").textContent !== old, then);
  assert.equal(await page.evaluate(() => document.activeElement.id), "s-members", "the focus stays");
  await page.click("header button");
  assert.match(await text(page, "#refresh"), /paused/);
}));

test("it works without JavaScript", { skip }, () => visit({ script: false }, async (page) => {
  assert.match(await text(page, "#refresh"), /load again/);
  assert.equal(await page.$("header button"), null);
  assert.match(await explain(page, "login", "198.51.100.1"), /partition \d+: owner node\d, decided by node\d in term \d+/);
}));

test("the style and the script are those that the policy lets in", { skip }, () => visit({}, async (page) => {
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("main")).display), "grid");
  assert.notEqual(await page.$("header button"), null);
}));

test("a client that is denied is explained, and reset", { skip }, () => visit({}, async (page) => {
  await until(page, () => document.querySelector("#denied table"));
  let answer = "";
  do answer = await explain(page, "login", "198.51.100.1"); while (!answer.includes("would be refused by: login"));
  await Promise.all([page.waitForNavigation({ timeout: PATIENCE }), page.click("button[value=reset]")]);
  assert.match(await text(page, "#explain [role=status]"), /whole again/);
}));

test("a split shows", { skip }, () => visit({}, async (page) => {
  await until(page, () => document.querySelectorAll("#s-members tbody tr").length === 3);
  if (PICTURES) {
    await new Promise((resolve) => setTimeout(resolve, 45_000)); // so that there is a history
    await until(page, () => !document.querySelector("#now .bad"));
    await explain(page, "", "198.51.100.1");
    await picture(page, "load");
    await picture(page, "explain", "#explain");
    for (const [name, how] of [["light", {}], ["dark", { dark: true }], ["phone", { phone: true }]]) await visit(how, (p) => picture(p, name));
  }
  tell("split");
  await until(page, () => /known nodes are missing/.test(document.querySelector("#now").textContent));
  await until(page, () => document.querySelector("#rules .bad"));
  assert.match(await text(page, "#members"), /missing/);
  assert.deepEqual(await violations(page), []);
  if (PICTURES) {
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await picture(page, "split");
  }
  tell("heal");
  await until(page, () => /healthy/.test(document.querySelector("#now").textContent));
}));
