//! Plays the faults of a script: in sequence first, then by chance with a printed seed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;

/// Say why a fault script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a fault script.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line and what is permitted.
        message: String,
    },
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Answer as always, but later.
    Delay {
        /// By how much.
        ms: u64,
    },
    /// Close the connection without having looked at the request.
    DropBefore,
    /// Process the request, then close the connection without an answer.
    DropResponse,
    /// Nothing.
    None,
    /// Refuse the record at this place of the batch, from 0, and apply the others.
    RefuseRecord {
        /// Which.
        position: usize,
    },
    /// Answer with this status without having processed anything.
    Status {
        /// The status.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// Process the request, then send the answer in pieces of so many bytes with a pause between.
    Trickle {
        /// Bytes of a piece.
        bytes: usize,
        /// Pause between two.
        pause_ms: u64,
    },
}

/// Which requests a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Both.
    Any,
    /// Status queries.
    Status,
    /// Batches.
    #[default]
    Submit,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    on: On,
    #[serde(default = "once")]
    times: u32,
    fault: Fault,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Likely {
    #[serde(default)]
    on: On,
    probability: f64,
    fault: Fault,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    sequence: Vec<Step>,
    #[serde(default)]
    chance: Vec<Likely>,
}

fn once() -> u32 {
    1
}

/// A fault script under way.
pub struct Script {
    left: Mutex<(VecDeque<Step>, StdRng)>,
    chance: Vec<Likely>,
}

impl Script {
    /// A script without faults.
    pub fn none() -> Self {
        Self::of(File { seed: 0, sequence: Vec::new(), chance: Vec::new() })
    }

    /// Read the script at `path`.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScriptError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|message| ScriptError::Syntax { path: path.to_owned(), message })
    }

    /// Parse a script; the error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if let Some(wrong) = file.chance.iter().find(|c| !(0.0..=1.0).contains(&c.probability)) {
            return Err(format!("probability is {}; permitted is 0.0 to 1.0", wrong.probability));
        }
        Ok(Self::of(file))
    }

    fn of(file: File) -> Self {
        let rng = StdRng::seed_from_u64(file.seed);
        Self { left: Mutex::new((file.sequence.into(), rng)), chance: file.chance }
    }

    /// Return the fault of the next request of this kind.
    pub fn next(&self, request: On) -> Fault {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (sequence, rng) = &mut *left;
        let meets = |on: On| on == request || on == On::Any;
        let place = sequence.iter().position(|step| step.times > 0 && meets(step.on));
        if let Some(place) = place
            && let Some(step) = sequence.get_mut(place)
        {
            step.times -= 1;
            let fault = step.fault;
            if step.times == 0 {
                sequence.remove(place);
            }
            return fault;
        }
        let drawn = self
            .chance
            .iter()
            .filter(|likely| meets(likely.on))
            .find(|likely| rng.random_bool(likely.probability));
        drawn.map_or(Fault::None, |likely| likely.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_comes_before_chance_and_ends() {
        let script = Script::parse(
            "[[sequence]]\ntimes = 2\nfault = { kind = \"status\", status = 429, retry_after_s = 1 }\n\
             [[sequence]]\non = \"status\"\nfault = { kind = \"drop_before\" }\n",
        )
        .unwrap();
        let storm = Fault::Status { status: 429, retry_after_s: Some(1) };
        assert_eq!(script.next(On::Submit), storm);
        assert_eq!(script.next(On::Status), Fault::DropBefore);
        assert_eq!(script.next(On::Submit), storm);
        assert_eq!(script.next(On::Submit), Fault::None);
    }

    #[test]
    fn equal_seeds_give_equal_faults() {
        let text =
            "seed = 5\n[[chance]]\nprobability = 0.5\nfault = { kind = \"drop_response\" }\n";
        let draw = || {
            let script = Script::parse(text).unwrap();
            (0..64).map(|_| script.next(On::Submit)).collect::<Vec<_>>()
        };
        let first = draw();
        assert_eq!(first, draw());
        assert!(first.contains(&Fault::None) && first.contains(&Fault::DropResponse));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Script::parse("seed = 1\n\n[[sequence]]\nfaults = 3\n").err().unwrap();
        assert!(error.contains("line"), "{error}");
    }
}
