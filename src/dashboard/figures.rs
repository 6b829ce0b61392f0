//! Puts the counts of intake and delivery together, checks that they balance, and keeps them for a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::Settings;
use super::store::{self, BatchLine, IntakeSums, RuleCount, Span, Waiting};
use crate::codes::Codes;
use crate::outbox::store::{self as outbox, Counts};
use crate::platform::clock::SharedClock;
use crate::platform::database::DatabaseError;
use crate::query::answer::vietnam_day;

const HOURS: i32 = 24;
const DAYS: i32 = 14;
const SNAPSHOT_TRIES: u32 = 3;

/// What became of the records of one province, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ProvinceFigures)]
pub struct Row {
    /// Participant id; absent for the sum.
    pub participant_id: Option<i32>,
    /// Two-digit code; empty for the sum.
    pub code: String,
    /// Name of the province; empty for the sum.
    pub name: String,
    /// New records made durable.
    pub received: u64,
    /// Repeated records, not in `received`.
    pub duplicates: u64,
    /// Rejected by a rule.
    pub rejected: u64,
    /// Waiting for a person or data.
    pub held: u64,
    /// Accepted, ever.
    pub accepted: u64,
    /// Sealed, ever.
    pub sealed: u64,
    /// Sent at least once, ever.
    pub submitted: u64,
    /// Applied by evidence.
    pub acknowledged: u64,
    /// Refused by evidence.
    pub refused: u64,
    /// On the way.
    pub in_flight: u64,
    /// Waiting for two persons.
    pub parked: u64,
    /// Replaced before they were sent.
    pub superseded: u64,
}

impl Row {
    fn of(
        participant_id: i32,
        code: String,
        name: String,
        sums: IntakeSums,
        counts: &Counts,
    ) -> Self {
        Self {
            participant_id: Some(participant_id),
            code,
            name,
            received: sums.received,
            duplicates: sums.duplicates,
            rejected: sums.rejected,
            held: sums.held,
            accepted: sums.accepted,
            sealed: counts.in_flight
                + counts.acknowledged
                + counts.refused
                + counts.parked
                + counts.superseded,
            submitted: counts.submitted,
            acknowledged: counts.acknowledged,
            refused: counts.refused,
            in_flight: counts.in_flight,
            parked: counts.parked,
            superseded: sums.superseded + counts.superseded,
        }
    }

    /// Return what is accounted for: the right side of the balance.
    pub fn accounted(&self) -> u64 {
        self.rejected
            + self.held
            + self.in_flight
            + self.acknowledged
            + self.refused
            + self.parked
            + self.superseded
    }

    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.held += other.held;
        self.accepted += other.accepted;
        self.sealed += other.sealed;
        self.submitted += other.submitted;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.in_flight += other.in_flight;
        self.parked += other.parked;
        self.superseded += other.superseded;
    }
}

/// Counts by province for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DestinationFigures {
    /// Name of the destination; empty before the first was used.
    pub name: String,
    /// Whether received = rejected + held + in flight + acknowledged + refused + parked + superseded in every
    /// row; absent while records arrive faster than they can be counted.
    pub balanced: Option<bool>,
    /// Sum of all provinces.
    pub total: Row,
    /// One row per province.
    pub rows: Vec<Row>,
    /// Age of the oldest record that waits for a batch, in seconds.
    pub oldest_ready_s: Option<u64>,
    /// Whether sending is stopped until persons let it go on.
    pub halted: bool,
    /// Why, as a code.
    pub halted_reason: Option<String>,
    /// Batches under way, by state and reason.
    #[schema(value_type = Vec<Object>)]
    pub batches: Vec<outbox::BatchCount>,
}

/// Everything the operators' page shows.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// When it was counted.
    pub counted_at: String,
    /// One entry per destination.
    pub destinations: Vec<DestinationFigures>,
    /// The last 24 hours.
    pub hours: Vec<Span>,
    /// The last 14 days.
    pub days: Vec<Span>,
    /// What waits.
    pub waiting: Waiting,
    /// Rules that stopped records in the last days.
    pub rules: Vec<RuleCount>,
    /// Newest batches in trouble.
    pub batches: Vec<BatchLine>,
}

/// Counts and keeps figures; all viewers of a process share one count.
pub struct FigureBoard {
    pool: Pool,
    codes: Arc<Codes>,
    clock: SharedClock,
    settings: Settings,
    kept: Mutex<Option<(Duration, Arc<Figures>)>>,
}

impl FigureBoard {
    /// Put the parts together; `pool` is that of the watching role.
    pub fn new(pool: Pool, codes: Arc<Codes>, clock: SharedClock, settings: Settings) -> Self {
        Self { pool, codes, clock, settings, kept: Mutex::new(None) }
    }

    /// Return one batch, the rules its records broke, and the name of its province.
    pub(super) async fn batch(
        &self,
        participant_id: i32,
        batch_id: Uuid,
    ) -> Result<Option<(BatchLine, Vec<RuleCount>, String)>, DatabaseError> {
        let Some(batch) = store::batch(&self.pool, participant_id, batch_id).await? else {
            return Ok(None);
        };
        let rules = store::rules_of_batch(&self.pool, participant_id, batch_id).await?;
        let provinces = store::provinces(&self.pool).await?;
        let name = provinces
            .iter()
            .find(|province| province.participant_id == participant_id)
            .map_or_else(String::new, |province| {
                self.province_name(&province.code, province.registered_at)
            });
        Ok(Some((batch, rules, name)))
    }

    /// Return the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Return figures that are at most `figures_cache_ms` old.
    pub async fn figures(&self) -> Result<Arc<Figures>, DatabaseError> {
        // Who waits here is served by the count of who came first.
        let mut kept = self.kept.lock().await;
        let now = self.clock.monotonic();
        let age_max = Duration::from_millis(self.settings.figures_cache_ms);
        if let Some((at, figures)) = kept.as_ref()
            && now.saturating_sub(*at) < age_max
        {
            return Ok(figures.clone());
        }
        let figures = Arc::new(self.count().await?);
        *kept = Some((now, figures.clone()));
        Ok(figures)
    }

    /// Return the name of a province in force on the day it was registered.
    fn province_name(&self, code: &str, registered_at: Timestamp) -> String {
        self.codes
            .province_by_code(code, vietnam_day(registered_at))
            .map_or_else(|| code.to_owned(), |province| province.name.to_string())
    }

    async fn count(&self) -> Result<Figures, DatabaseError> {
        let now = self.clock.now();
        let since = now - SignedDuration::from_hours(24 * i64::from(self.settings.error_days));
        Ok(Figures {
            counted_at: now.to_string(),
            destinations: self.destinations().await?,
            hours: store::timeline(&self.pool, "hour", HOURS, now).await?,
            days: store::timeline(&self.pool, "day", DAYS, now).await?,
            waiting: store::waiting(&self.pool, now).await?,
            rules: store::rules_since(&self.pool, since, self.settings.lines_max).await?,
            batches: store::batches_in_trouble(&self.pool, self.settings.lines_max).await?,
        })
    }

    async fn destinations(&self) -> Result<Vec<DestinationFigures>, DatabaseError> {
        let provinces = store::provinces(&self.pool).await?;
        let (sums, counts, steady) = self.snapshot().await?;
        let batches = outbox::open_batches(&self.pool).await?;
        let states = outbox::destination_states(&self.pool).await?;
        let mut names: Vec<String> = counts.keys().map(|(_, name)| name.clone()).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            names.push(String::new());
        }
        let nothing = Counts::default();
        Ok(names
            .into_iter()
            .map(|name| {
                let rows: Vec<Row> = provinces
                    .iter()
                    .map(|province| {
                        let id = province.participant_id;
                        let own = counts.get(&(id, name.clone())).unwrap_or(&nothing);
                        let sum = sums.get(&id).copied().unwrap_or_default();
                        let text = self.province_name(&province.code, province.registered_at);
                        Row::of(id, province.code.clone(), text, sum, own)
                    })
                    .collect();
                let mut total = Row::default();
                rows.iter().for_each(|row| total.add(row));
                let balanced = rows.iter().all(|row| row.received == row.accounted());
                let state = states.iter().find(|state| state.destination == name);
                DestinationFigures {
                    balanced: (balanced || steady).then_some(balanced),
                    total,
                    rows,
                    oldest_ready_s: counts
                        .iter()
                        .filter(|((_, other), _)| *other == name)
                        .filter_map(|(_, own)| own.oldest_ready_s)
                        .max(),
                    halted: state.is_some_and(|state| state.halted),
                    halted_reason: state.and_then(|state| state.reason.clone()),
                    batches: batches
                        .iter()
                        .filter(|batch| batch.destination == name)
                        .cloned()
                        .collect(),
                    name,
                }
            })
            .collect())
    }

    // Intake and delivery are counted by two statements. Nothing came between them if intake counts the
    // same before and after: delivery moves records between states, but only intake adds any.
    async fn snapshot(
        &self,
    ) -> Result<(BTreeMap<i32, IntakeSums>, BTreeMap<(i32, String), Counts>, bool), DatabaseError>
    {
        let mut before = store::intake_sums(&self.pool).await?;
        for _ in 0..SNAPSHOT_TRIES {
            let counts = outbox::counts(&self.pool).await?;
            let after = store::intake_sums(&self.pool).await?;
            if before == after {
                return Ok((by_participant(after), counts, true));
            }
            before = after;
        }
        let counts = outbox::counts(&self.pool).await?;
        Ok((by_participant(before), counts, false))
    }
}

fn by_participant(sums: Vec<IntakeSums>) -> BTreeMap<i32, IntakeSums> {
    sums.into_iter().map(|sum| (sum.participant_id, sum)).collect()
}

#[cfg(test)]
mod tests;
