// Starts the demonstration, waits for its line of addresses, and stops it again.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * The command, from the root of the repository. It must stay up until interrupted and print one line
 * of JSON on standard output once every record has its outcome:
 *
 *   {"addresses": {"operator": "https://localhost:8444/…", "officer": "https://localhost:8444/…",
 *                  "public": "https://localhost:8445/…"},
 *    "ca": FILE,
 *    "operator": {"certificate": FILE, "key": FILE},
 *    "officer": {"certificate": FILE, "key": FILE},
 *    "provinces": ["01", "79", "20"],
 *    "question": {"<name of a field of the officer's form>": "<value>", …}}
 *
 * `question` is one the officer may ask and that is answered `valid`. Files are PEM.
 */
export const START = ["target/debug/hocba", "demo", "--records", "60", "--json-addresses"];

const START_TIMEOUT_MS = 240_000;
const STOP_TIMEOUT_MS = 30_000;

/** Resolves with the parsed line and `stop()`; rejects with the end of what the demo wrote. */
export async function startDemo(root) {
  const [program, ...args] = START;
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

  const addresses = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      keep(line);
      try {
        const parsed = JSON.parse(line);
        if (parsed.addresses) resolve(parsed);
      } catch {
        // Not the line of addresses.
      }
    });
  });
  // However this process ends, the demo is told to end and tidy up.
  process.once("exit", () => child.exitCode === null && signalTo(child.pid, "SIGINT"));
  const stop = () => stopGroup(child, ended);
  try {
    const found = await within(START_TIMEOUT_MS, Promise.race([addresses, ended]));
    if (!found?.addresses) throw new Error(found ?? `no addresses within ${START_TIMEOUT_MS} ms`);
    return { ...found, stop };
  } catch (error) {
    await stop();
    throw new Error(`${START.join(" ")}: ${error.message}\n${written.join("\n")}`);
  }
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
