//! Reads the processor time of processes and of the own thread from `/proc`.

use std::fs;

use anyhow::Context;

/// Linux counts processor time for `/proc/<pid>/stat` in ticks of 10 ms on every platform it runs on (USER_HZ).
const TICK_US: f64 = 10_000.0;

// Fields of `/proc/<pid>/stat` after the name in parentheses, from 0 (proc_pid_stat(5)).
const PARENT: usize = 1;
const USER: usize = 11;
const SYSTEM: usize = 12;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;

/// Return the processor time of `process`, in microseconds.
pub fn of_process(process: u32) -> anyhow::Result<f64> {
    let fields = fields_of(process)?;
    sum(&fields, &[USER, SYSTEM])
}

/// Return the processor time of a server and its child processes, ended ones included, in microseconds.
pub fn of_family(parent: u32) -> anyhow::Result<f64> {
    let own = fields_of(parent)?;
    let mut total = sum(&own, &[USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM])?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that ended meanwhile is counted by its parent the next time.
        let Ok(fields) = fields_of(process) else {
            continue;
        };
        if fields.get(PARENT).copied() == Some(f64::from(parent)) {
            total += sum(&fields, &[USER, SYSTEM])?;
        }
    }
    Ok(total)
}

/// Run `work` and return its result and the processor time of this thread, in microseconds.
pub fn of_thread<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let before = thread_ns()?;
    let done = work()?;
    Ok((done, (thread_ns()? - before) / 1_000.0))
}

fn thread_ns() -> anyhow::Result<f64> {
    // The kernel brings the sum up to date when a thread gives way, otherwise only at its own ticks of 4 ms.
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().context("schedstat")?;
    Ok(first.parse()?)
}

fn fields_of(process: u32) -> anyhow::Result<Vec<f64>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("stat")?;
    // The state is a letter; everything that is read here is a number.
    Ok(rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
}

fn sum(fields: &[f64], places: &[usize]) -> anyhow::Result<f64> {
    let ticks: Option<f64> = places.iter().map(|place| fields.get(*place).copied()).sum();
    Ok(ticks.context("stat is too short")? * TICK_US)
}
