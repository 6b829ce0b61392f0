// Opens the pages of a running demonstration in Chromium and checks what people see.
//
// Run with Node 20 or newer after `scripts/setup test` and a build. Prints one line per check and
// `N passed, N failed` at the end; exits 1 when one failed. Screenshots go to target/screenshots.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import https from "node:https";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { PROVINCES, startDemo } from "./demo.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const { chromium } = createRequire(path.join(root, "target/tools/browser/package.json"))("playwright-core");
const screenshots = path.join(root, "target/screenshots");

const PAGE_TIMEOUT_MS = 15_000;
// What every received record becomes; the left side is `received`.
const OUTCOMES = ["rejected", "held", "acknowledged", "refused", "in_flight", "parked", "superseded"];
const VERDICTS = [
  "valid", "recalled", "superseded", "incomplete", "signature_invalid",
  "identity_mismatch", "not_found", "source_unavailable",
];

const checks = [];
const check = (name, run) => checks.push({ name, run });

/** A window of the person (`operator`, `officer` or nobody), watched for everything that goes wrong. */
async function open(world, who, options = {}) {
  const files = world.demo[who];
  const context = await world.browser.newContext({
    // The development root is in no browser; `the server's certificate leads to…` checks it.
    ignoreHTTPSErrors: true,
    locale: "vi-VN",
    viewport: { width: 1280, height: 900 },
    clientCertificates: files
      ? [{ origin: new URL(world.demo.addresses[who]).origin, certPath: files.certificate, keyPath: files.key }]
      : undefined,
    ...options,
  });
  context.setDefaultTimeout(PAGE_TIMEOUT_MS);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.on("requestfailed", (request) => {
    // Leaving a page ends what it still loads.
    if (request.failure()?.errorText !== "net::ERR_ABORTED") wrong.push(`request: ${request.url()}`);
  });
  const origin = new URL(world.demo.addresses[who]).origin;
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== origin) wrong.push(`leaves the gateway: ${url}`);
  });
  const response = await page.goto(world.demo.addresses[who], { waitUntil: "load" });
  assert.equal(response.status(), 200, `${world.demo.addresses[who]} answers ${response.status()}`);
  return { page, response, wrong, close: () => context.close() };
}

/** Opens, runs `look`, closes, and holds that nothing went wrong meanwhile. */
async function visit(world, who, look, options) {
  const window = await open(world, who, options);
  try {
    const result = await look(window.page, window.response);
    assert.ok(window.wrong.length === 0, [...new Set(window.wrong)].join("\n"));
    return result;
  } catch (error) {
    await picture(window.page, `failed-${who}`);
    const shown = (await window.page.locator("body").innerText()).replaceAll(/\s+/g, " ");
    const complaints = [...new Set(window.wrong)].join("\n");
    throw new Error(`${error.message}\n${complaints}\n${window.page.url()} shows: ${shown.slice(0, 400)}`);
  } finally {
    await window.close();
  }
}

const picture = (page, name) => page.screenshot({ path: path.join(screenshots, `${name}.png`), fullPage: true });

/** Every element `data-figure="path"` of the operator page as path and number; thousands marks are dropped. */
async function figures(page) {
  const found = await page.$$eval("[data-figure]", (elements) =>
    elements.map((element) => [element.dataset.figure, element.textContent]),
  );
  return Object.fromEntries(found.map(([name, text]) => [name, Number(text.replace(/[^\d-]/g, ""))]));
}

async function checkBalance(page, demo) {
  const seen = await figures(page);
  const names = ["received", ...OUTCOMES];
  const total = Object.fromEntries(names.map((name) => [name, seen[`destinations.0.total.${name}`]]));
  for (const name of names) {
    assert.ok(Number.isInteger(total[name]), `data-figure="destinations.0.total.${name}" is missing`);
  }
  const sum = OUTCOMES.reduce((added, name) => added + total[name], 0);
  assert.equal(total.received, sum, `received is not the sum: ${JSON.stringify(total)}`);
  // One record came after the demo's own, to be asked about.
  assert.equal(total.received, demo.figures.received + 1, JSON.stringify(total));
  for (const name of names) {
    const rows = Object.entries(seen).filter(([path]) => path.match(`^destinations\\.0\\.rows\\.\\d+\\.${name}$`));
    const added = rows.reduce((all, [, value]) => all + value, 0);
    if (rows.length > 0) assert.equal(added, total[name], `the provinces do not add up to ${name}`);
  }
}

/** Fills the officer's form with the demo's question and sends it. */
async function ask(page, question) {
  for (const [name, value] of Object.entries(question)) {
    const field = page.locator(`form [name="${name}"]`).first();
    const tag = await field.evaluate((element) => `${element.tagName} ${element.type}`);
    if (tag.startsWith("SELECT")) await field.selectOption(value);
    else if (/ (radio|checkbox)$/.test(tag)) await page.locator(`form [name="${name}"][value="${value}"]`).check();
    else await field.fill(value);
  }
  await page.locator('form [type="submit"]').first().click();
  const outcome = page.locator("#verdict, [role=alert]").first();
  await outcome.waitFor();
  assert.equal(await outcome.getAttribute("id"), "verdict", (await outcome.textContent()).trim());
  const signed = await page.locator("details pre").first().textContent();
  return JSON.parse(signed).verdict;
}

/** The status of a plain request with the given TLS files. */
function status(url, tls) {
  return new Promise((resolve, reject) => {
    https.get(url, { ...tls, agent: false, timeout: PAGE_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", reject);
  });
}

check("the server's certificate leads to the demo's root", async ({ demo }) => {
  const tls = {
    ca: readFileSync(demo.ca),
    cert: readFileSync(demo.operator.certificate),
    key: readFileSync(demo.operator.key),
  };
  assert.equal(await status(demo.addresses.operator, tls), 200);
});

check("without a personal certificate nobody sees the operator page", async ({ demo }) => {
  await assert.rejects(status(demo.addresses.operator, { ca: readFileSync(demo.ca) }));
});

check("an officer does not see the operator page", async ({ demo }) => {
  const tls = {
    ca: readFileSync(demo.ca),
    cert: readFileSync(demo.officer.certificate),
    key: readFileSync(demo.officer.key),
  };
  assert.equal(await status(demo.addresses.operator, tls), 403);
});

check("the operator sees the three provinces", (world) =>
  visit(world, "operator", async (page) => {
    const rows = await page.locator("tbody th[scope=row]:has(.code)").allTextContents();
    for (const province of PROVINCES) {
      assert.ok(rows.some((row) => row.trim().startsWith(province)), `${province} is missing: ${rows}`);
    }
    await picture(page, "operator");
  }),
);

check("the operator's figures balance", (world) => visit(world, "operator", (page) => checkBalance(page, world.demo)));

check("the operator page works without scripts", (world) =>
  visit(world, "operator", (page) => checkBalance(page, world.demo), { javaScriptEnabled: false }),
);

check("an officer asks and is told the verdict", (world) =>
  visit(world, "officer", async (page) => {
    await picture(page, "officer-question");
    const verdict = await ask(page, world.demo.question);
    assert.ok(VERDICTS.includes(verdict), `an unknown verdict: ${verdict}`);
    assert.equal(verdict, "valid");
    for (const value of Object.values(world.demo.question).filter((text) => text.length > 4)) {
      assert.ok(!decodeURIComponent(page.url()).includes(value), "the address holds personal data");
    }
    await picture(page, "officer-answer");
  }),
);

check("an officer asks without scripts", (world) =>
  visit(world, "officer", async (page) => assert.equal(await ask(page, world.demo.question), "valid"), {
    javaScriptEnabled: false,
  }),
);

check("the public page opens without a certificate", (world) =>
  visit(world, "public", async (page) => {
    assert.ok((await page.locator("h1").first().textContent()).trim().length > 0);
    await picture(page, "public");
  }),
);

for (const who of ["operator", "officer", "public"]) {
  check(`the ${who} page is Vietnamese, titled, and has one main heading`, (world) =>
    visit(world, who, async (page) => {
      assert.equal(await page.locator("html").getAttribute("lang"), "vi");
      assert.match(await page.title(), /\S/);
      assert.equal(await page.locator("h1").count(), 1);
    }),
  );

  check(`the ${who} page forbids foreign and inline code`, (world) =>
    visit(world, who, (_page, response) => {
      const headers = response.headers();
      const policy = headers["content-security-policy"] ?? "";
      assert.match(policy, /default-src 'none'|default-src 'self'/, `policy: ${policy}`);
      assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/, `policy: ${policy}`);
      assert.equal(headers["x-content-type-options"], "nosniff");
    }),
  );

  check(`the ${who} page fits on a telephone`, (world) =>
    visit(
      world,
      who,
      async (page) => {
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 390, `${width} px wide on a screen of 390`);
        await picture(page, `${who}-telephone`);
      },
      { viewport: { width: 390, height: 844 } },
    ),
  );

  check(`every field and picture of the ${who} page has a name`, (world) =>
    visit(world, who, async (page) => {
      const nameless = await page.$$eval("input:not([type=hidden]), select, textarea, img", (elements) =>
        elements
          .filter((e) => !(e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
            || e.hasAttribute("alt") || ["submit", "button"].includes(e.type)))
          .map((e) => e.outerHTML.slice(0, 80)),
      );
      assert.deepEqual(nameless, []);
    }),
  );
}

async function main() {
  mkdirSync(screenshots, { recursive: true });
  let failed = 0;
  let demo;
  let browser;
  try {
    demo = await startDemo(root);
    browser = await chromium.launch({
      executablePath: process.env.HOCBA_BROWSER ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
      ],
    });
    for (const { name, run } of checks) {
      try {
        await run({ demo, browser });
        console.log(`ok      ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED  ${name}\n        ${String(error.message).replaceAll("\n", "\n        ")}`);
      }
    }
  } catch (error) {
    failed = checks.length;
    console.log(`FAILED  the demonstration or the browser did not start\n${error.message}`);
  } finally {
    await browser?.close();
    await demo?.stop();
  }
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
await main();
