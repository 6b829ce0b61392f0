// Starts the demonstration, waits until it is done, adds one pupil to ask about, and stops it again.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const PROGRAM = path.join(process.env.CARGO_TARGET_DIR ?? "target", "debug/hocba");
// The command, from the root of the repository. It prints one line of JSON on standard output when every
// record has its outcome, stays up until interrupted, and keeps its certificates and settings in the folder.
const START = (folder) => [PROGRAM, "demo", "--records", "60", "--json", "--dir", folder];
export const PROVINCES = ["01", "79", "20"];

const START_TIMEOUT_MS = 240_000;
const STOP_TIMEOUT_MS = 30_000;

/**
 * Resolves with the demo: `figures` as it printed them, `addresses` of the pages, the `ca`, certificate and
 * key files of the `operator` and the `officer`, the officer's `question`, and `stop()`.
 */
export async function startDemo(root) {
  // Short, because PostgreSQL's socket lies below it; reachable, because PostgreSQL is another user.
  const folder = mkdtempSync(path.join(tmpdir(), "hocba-pages-"));
  const [program, ...args] = START(folder);
  // A group of its own, so that nothing it started can outlive it.
  const child = spawn(program, args, { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const written = [];
  const keep = (line) => {
    written.push(line);
    if (written.length > 60) written.shift();
  };
  const ended = new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(`ended with ${code ?? signal}`));
    child.once("error", (error) => resolve(error.message));
  });
  createInterface({ input: child.stderr }).on("line", keep);

  const figures = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      keep(line);
      try {
        const parsed = JSON.parse(line);
        if (Number.isInteger(parsed.received)) resolve(parsed);
      } catch {
        // Not the line of figures.
      }
    });
  });
  // However this process ends, the demo is told to end and tidy up.
  process.once("exit", () => child.exitCode === null && signalTo(child.pid, "SIGINT"));
  const stop = async () => {
    await stopGroup(child, ended);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const found = await within(START_TIMEOUT_MS, Promise.race([figures, ended]));
    if (!found?.received) throw new Error(found ?? `no figures within ${START_TIMEOUT_MS} ms`);
    const demo = { figures: found, ...readFolder(folder), stop };
    demo.question = await pushOne(root, folder, demo);
    return demo;
  } catch (error) {
    await stop();
    throw new Error(`${program} ${args.join(" ")}: ${error.message}\n${written.join("\n")}`);
  }
}

/** Addresses from the demo's settings, certificate files from the index of its PKI. */
function readFolder(folder) {
  const settings = readFileSync(path.join(folder, "hocba.toml"), "utf8");
  const address = (listener) => {
    const [, port] = settings.match(new RegExp(`\\[listener\\.${listener}\\]\\s+bind = "[^"]*:(\\d+)"`));
    return `https://localhost:${port}`;
  };
  const pki = path.join(folder, "pki");
  const { entries } = JSON.parse(readFileSync(path.join(pki, "pki.json"), "utf8"));
  const files = (role) => {
    const entry = entries.find((candidate) => candidate.role === role);
    return { certificate: path.join(pki, entry.certificate_file), key: path.join(pki, entry.key_file) };
  };
  return {
    machines: address("machines"),
    addresses: {
      operator: `${address("persons")}/`,
      officer: `${address("persons")}/officer`,
      public: `${address("public")}/`,
    },
    ca: files("tls_ca").certificate,
    operator: files("operator"),
    officer: files("officer"),
    participant: files("participant"),
  };
}

/** Makes one faultless transcript, pushes it as its province would, and returns what an officer asks about it. */
async function pushOne(root, folder, demo) {
  const run = (...args) => promisify(execFile)(PROGRAM, args, { cwd: root, timeout: START_TIMEOUT_MS });
  const file = path.join(folder, "one.ndjson");
  await run(
    "generate", "--level", "tieu-hoc", "--province", PROVINCES[0], "--records", "1", "--seed", "424242",
    "--format", "ndjson", "--pki", path.join(folder, "pki"), "--output", file,
  );
  const { certificate, key } = demo.participant;
  await run("push", file, "--url", demo.machines, "--cert", certificate, "--key", key, "--ca", demo.ca);
  const { general } = JSON.parse(readFileSync(file, "utf8").split("\n")[0]).record;
  return {
    procedure: "1.005099", // transfer of a primary pupil
    case: "H26.01.12-261123-0002",
    name: general.student_name,
    transcript_code: general.code,
    level: "tieu_hoc",
    school_years: general.school_year,
  };
}

async function stopGroup(child, ended) {
  if (child.pid === undefined) return;
  signalTo(child.pid, "SIGINT");
  if ((await within(STOP_TIMEOUT_MS, ended)) === undefined) signalTo(child.pid, "SIGTERM");
  await within(5_000, ended);
  signalTo(-child.pid, "SIGKILL");
}

function signalTo(processId, signal) {
  try {
    process.kill(processId, signal);
  } catch {
    // Already gone.
  }
}

/** The promise's value, or `undefined` when it takes longer. */
function within(limitMs, promise) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
