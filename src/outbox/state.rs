//! Names the states, events and outcomes of a batch on its way to a destination.

use jiff::Timestamp;
use serde::Deserialize;

/// State of a batch (reliability S3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchState {
    /// Members are reserved; bytes are being built and signed under a lease.
    Forming,
    /// Members, order, bytes and message id are frozen.
    Formed,
    /// An attempt is committed; bytes may be on the wire.
    Sending,
    /// The destination took it over but gave no evidence yet.
    AwaitingReceipt,
    /// It may or may not have been processed.
    InDoubt,
    /// Waits for the next attempt with the same bytes under the same message id.
    RetryWait,
    /// Evidence names each member. An end.
    Settled,
    /// Evidence leaves members out.
    SettledPartial,
    /// Refused whole and divided in two. An end.
    Split,
    /// Waits for persons.
    Parked,
}

impl BatchState {
    /// All states, in the order a batch meets them.
    pub const ALL: [Self; 10] = [
        Self::Forming,
        Self::Formed,
        Self::Sending,
        Self::AwaitingReceipt,
        Self::InDoubt,
        Self::RetryWait,
        Self::Settled,
        Self::SettledPartial,
        Self::Split,
        Self::Parked,
    ];

    /// Return the name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forming => "FORMING",
            Self::Formed => "FORMED",
            Self::Sending => "SENDING",
            Self::AwaitingReceipt => "AWAITING_RECEIPT",
            Self::InDoubt => "IN_DOUBT",
            Self::RetryWait => "RETRY_WAIT",
            Self::Settled => "SETTLED",
            Self::SettledPartial => "SETTLED_PARTIAL",
            Self::Split => "SPLIT",
            Self::Parked => "PARKED",
        }
    }

    /// Return the state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Tell whether nothing leaves this state.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Settled | Self::Split)
    }
}

/// Why a batch waits, is parked or a destination is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The destination already knows the message id (409).
    AlreadyKnown,
    /// Evidence contradicts what we sent or earlier evidence.
    Contradiction,
    /// Attempts or age reached their limit.
    Exhausted,
    /// Evidence left members out until the limit.
    LeftOut,
    /// Nobody could tell in time whether it was processed.
    Undecidable,
    /// The attempt ended before the first byte.
    NotSent,
    /// The destination refuses our identity or is not who it should be.
    PeerRefusesUs,
    /// Refused whole, signed.
    Refused,
    /// Refused for load.
    Load,
    /// Refused whole, but the refusal proves nothing.
    UnprovenRefusal,
    /// The lease ended before the worker concluded.
    WorkerLost,
    /// The exchange broke after the first byte, or its answer proves nothing.
    Unknown,
}

impl Reason {
    const ALL: [Self; 12] = [
        Self::AlreadyKnown,
        Self::Contradiction,
        Self::Exhausted,
        Self::LeftOut,
        Self::Undecidable,
        Self::NotSent,
        Self::PeerRefusesUs,
        Self::Refused,
        Self::Load,
        Self::UnprovenRefusal,
        Self::WorkerLost,
        Self::Unknown,
    ];

    /// Return the stable code; its text is `outbox.reason.<code>`.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadyKnown => "already-known",
            Self::Contradiction => "contradiction",
            Self::Exhausted => "exhausted",
            Self::LeftOut => "left-out",
            Self::Undecidable => "undecidable",
            Self::NotSent => "not-sent",
            Self::PeerRefusesUs => "peer-refuses-us",
            Self::Refused => "refused",
            Self::Load => "load",
            Self::UnprovenRefusal => "unproven-refusal",
            Self::WorkerLost => "worker-lost",
            Self::Unknown => "unknown",
        }
    }

    /// Return the reason of that code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// Class of one attempt's outcome (reliability S4), decided by `submit::outcome::classify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The destination knows the message id already; says nothing about its fate.
    AlreadyKnown,
    /// Verified evidence that speaks of other content, or contradicts earlier evidence.
    Conflict,
    /// Ended before the first byte of our request.
    NotSent,
    /// Verified evidence that leaves members out.
    PartlySettled,
    /// Our identity is refused, or the peer is not who it should be.
    PeerHalt,
    /// The whole batch is refused; `proven` when the refusal is evidence.
    RefusedBatch {
        /// Whether the refusal is signed, or authenticated where the destination signs nothing.
        proven: bool,
        /// Whether the size alone was refused (413), which is definite even unsigned.
        too_large: bool,
    },
    /// Refused for load; to be tried again after so many milliseconds at least.
    RefusedLoad {
        /// What the destination asked for.
        retry_after_ms: u64,
    },
    /// Verified evidence names every member.
    Settled,
    /// Taken over, without evidence yet.
    TransportOk,
    /// Anything else after the first byte.
    Unknown,
}

impl Outcome {
    /// Return the name of the class, kept with the attempt.
    pub fn class(self) -> &'static str {
        match self {
            Self::AlreadyKnown => "ALREADY_KNOWN",
            Self::Conflict => "CONFLICT",
            Self::NotSent => "NOT_SENT",
            Self::PartlySettled => "PARTLY_SETTLED",
            Self::PeerHalt => "PEER_HALT",
            Self::RefusedBatch { .. } => "REFUSED_BATCH",
            Self::RefusedLoad { .. } => "REFUSED_LOAD",
            Self::Settled => "SETTLED",
            Self::TransportOk => "TRANSPORT_OK",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Class of a status query's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryOutcome {
    /// Verified evidence that speaks of other content, or contradicts earlier evidence.
    Conflict,
    /// The destination provably does not know the message id.
    NotFound,
    /// Verified evidence that leaves members out.
    PartlySettled,
    /// Our identity is refused, or the peer is not who it should be.
    PeerHalt,
    /// Known, but not finished.
    Pending,
    /// The destination proves that it refused the whole batch.
    Refused,
    /// Refused for load; to be asked again after so many milliseconds at least.
    RefusedLoad {
        /// What the destination asked for.
        retry_after_ms: u64,
    },
    /// Verified evidence names every member.
    Settled,
    /// No usable answer.
    Unknown,
    /// The destination has no status query.
    Unsupported,
}

impl QueryOutcome {
    /// Return the name of the class, kept with the attempt.
    pub fn class(self) -> &'static str {
        match self {
            Self::Conflict => "CONFLICT",
            Self::NotFound => "NOT_FOUND",
            Self::PartlySettled => "PARTLY_SETTLED",
            Self::PeerHalt => "PEER_HALT",
            Self::Pending => "PENDING",
            Self::Refused => "REFUSED_BATCH",
            Self::RefusedLoad { .. } => "REFUSED_LOAD",
            Self::Settled => "SETTLED",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

/// What happens to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The attempt of the present lease ended.
    Answered(Outcome),
    /// Verified evidence arrived outside of a lease.
    Evidence {
        /// Whether it names every member.
        complete: bool,
    },
    /// The bytes are built, signed and stored.
    Frozen,
    /// A worker took it until then.
    Leased {
        /// End of the lease, by the database's clock.
        until: Timestamp,
    },
    /// The lease ended and nobody concluded.
    LeaseExpired,
    /// The status query of the present lease ended.
    Queried(QueryOutcome),
    /// Two persons let a parked batch go on.
    Released,
}

impl Event {
    /// Return the class kept with the attempt it ends.
    pub fn class(self) -> &'static str {
        match self {
            Self::Answered(outcome) => outcome.class(),
            Self::Queried(outcome) => outcome.class(),
            Self::Evidence { .. }
            | Self::Frozen
            | Self::Leased { .. }
            | Self::LeaseExpired
            | Self::Released => Outcome::Unknown.class(),
        }
    }
}

/// What must be done together with the change of state, in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Tell the operators.
    Alarm(Reason),
    /// Close the members the evidence names.
    ApplyEvidence,
    /// Stop all sending to the destination until persons let it go on.
    HaltDestination(Reason),
    /// Park the members that are still open.
    ParkMembers,
    /// Put parked members back into the batch.
    ReopenMembers,
    /// Divide the members among two new batches.
    SplitInTwo,
}

/// What the schedule knows of a batch; times are the database's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Where it stands.
    pub state: BatchState,
    /// Number of leases so far.
    pub epoch: i32,
    /// End of the present lease.
    pub lease_until: Option<Timestamp>,
    /// Nothing is done before.
    pub not_before: Timestamp,
    /// Attempts that may have reached the wire.
    pub attempts: u32,
    /// Status queries since the present wait began.
    pub queries: u32,
    /// Members.
    pub size: u32,
    /// Whether an attempt may have been processed and nothing disproved it.
    pub doubt: bool,
    /// Whether the next attempt says that it may be a repeat.
    pub possible_duplicate: bool,
    /// When the present wait for an answer began.
    pub waiting_since: Option<Timestamp>,
    /// Answers in this wait that the message id is not known.
    pub not_found: u32,
    /// When the first of them came.
    pub not_found_at: Option<Timestamp>,
    /// When the batch was begun.
    pub created_at: Timestamp,
    /// Why it stands where it stands.
    pub reason: Option<Reason>,
}

/// Limits of the schedule, section `[destination.<name>.schedule]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// First back-off; attempt k waits `random(0, min(cap, base·2^k))`.
    pub backoff_base_ms: u64,
    /// Longest back-off.
    pub backoff_cap_ms: u64,
    /// Longest wait a destination may ask for.
    pub retry_after_cap_ms: u64,
    /// Attempts after which a batch is parked.
    pub park_after_attempts: u32,
    /// Age after which a batch is parked.
    pub park_after_ms: u64,
    /// Longest time from acceptance to visibility at the destination: younger "not found" means nothing.
    pub visibility_ms: u64,
    /// Time between two answers "not found" that count.
    pub not_found_spacing_ms: u64,
    /// Time a receipt may take after acceptance.
    pub receipt_wait_ms: u64,
    /// Pause between two status queries while a receipt is awaited.
    pub receipt_poll_ms: u64,
    /// Failures to connect in a row that open the breaker.
    pub breaker_failures: u32,
    /// Time the open breaker lets nothing pass; then one batch tries.
    pub breaker_open_ms: u64,
}
