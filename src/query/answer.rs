//! Answers one question: looks up, re-verifies, decides, signs, and logs before anything leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use uuid::Uuid;

use super::QueryError;
use super::Settings;
use super::catalogue::{Catalogue, Procedure};
use super::evidence::{EvidenceReader, Source};
use super::ledger::{leaf_of, row_of};
use super::pace::Pace;
use super::request::{OfficerName, Question, QuestionLimits, Subject};
use super::shape::{Answer, Draft};
use super::store::{self, DirectoryRow};
use super::verdict::{self, Asked, Dossier, Evidence, Status};
use crate::access::{Access, Role};
use crate::audit::leaf_hash;
use crate::platform::clock::SharedClock;
use crate::signature::{Signer, jws};
use crate::transcript::{Level, SchoolYear};
use crate::vault::Vault;

/// Who asks: an officer of an agency, both already known by their certificates or register entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Participant id of the agency.
    pub agency: i32,
    /// Person id of the officer.
    pub officer: Uuid,
}

/// Answers questions; shared by the machines' and the persons' listener.
pub struct Answerer {
    pool: Pool,
    access: Arc<Access>,
    vault: Arc<Vault>,
    evidence: Arc<EvidenceReader>,
    catalogue: Arc<Catalogue>,
    signer: Arc<dyn Signer>,
    clock: SharedClock,
    pace: Pace,
    settings: Settings,
}

struct Found {
    dossiers: Vec<Dossier>,
    subject_ref: Option<Vec<u8>>,
}

impl Answerer {
    /// Put the parts together; `pool` is that of the role query.
    #[expect(clippy::too_many_arguments, reason = "each part is handed in by app, once")]
    pub fn new(
        pool: Pool,
        access: Arc<Access>,
        vault: Arc<Vault>,
        evidence: Arc<EvidenceReader>,
        catalogue: Arc<Catalogue>,
        signer: Arc<dyn Signer>,
        clock: SharedClock,
        settings: Settings,
    ) -> Self {
        Self {
            pool,
            access,
            vault,
            evidence,
            catalogue,
            signer,
            clock,
            pace: Pace::new(&settings),
            settings,
        }
    }

    /// Return the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Return the limits of a question.
    pub fn limits(&self) -> QuestionLimits {
        QuestionLimits {
            school_years_max: self.settings.school_years_max,
            case_chars_max: self.settings.case_chars_max,
        }
    }

    /// Return the procedures that may ask today.
    pub fn procedures(&self) -> impl Iterator<Item = &Procedure> {
        self.catalogue.procedures_on(vietnam_day(self.clock.now()))
    }

    /// Find the officer a question of `agency` names.
    ///
    /// # Errors
    /// [`QueryError::OfficerUnknown`] for a person who is not an officer of this agency now.
    pub async fn officer_of(&self, agency: i32, name: OfficerName) -> Result<Asker, QueryError> {
        let found = match name {
            OfficerName::Person(id) => self.access.officer_of(agency, id).await?,
            OfficerName::Fingerprint(bytes) => self.access.person(&bytes).await?,
        };
        let officer = found
            .filter(|person| person.role == Role::Officer && person.participant_id == Some(agency))
            .ok_or(QueryError::OfficerUnknown)?;
        Ok(Asker { agency, officer: officer.person_id })
    }

    /// Answer `question` of `asker`; when this returns an answer, its audit leaf is committed.
    ///
    /// # Errors
    /// A question the policy refuses, a used-up budget, or no database to write the leaf to.
    pub async fn answer(&self, asker: Asker, question: Question) -> Result<Answer, QueryError> {
        let now = self.clock.now();
        let today = vietnam_day(now);
        let procedure = self
            .catalogue
            .procedure(&question.procedure, today)
            .ok_or(QueryError::ProcedureUnknown)?;
        procedure.permit(&question)?;
        self.pace.take(asker.agency, asker.officer, question.subject.way())?;
        let asked = Asked { question: &question, procedure, catalogue: &self.catalogue, today };
        let found = self.look_up(&question, now).await;
        let (decision, subject_ref) = match found {
            Ok(found) => (verdict::decide(asked, &found.dossiers), found.subject_ref),
            Err(error) => {
                tracing::error!(%error, "evidence cannot be read; the answer is source-unavailable");
                (verdict::undecided(asked), None)
            }
        };
        let draft = Draft { asker, question: &question, procedure, decision, now, today };
        let row = row_of(&draft, &self.vault, subject_ref);
        let leaf = leaf_of(&row, &self.vault);
        let hash = leaf_hash(leaf.at, &leaf.actor, leaf.action, &leaf.object, &leaf.details);
        let answer = self.sign(draft.shape(row.answer_id, &hash, &self.catalogue)).await?;
        // Nothing is disclosed without its leaf: the answer leaves only after this commit.
        let kept = store::save_answer(&self.pool, &row, &leaf).await?;
        if kept != hash {
            return Err(QueryError::Fault("the leaf hash is not the one in the answer"));
        }
        Ok(answer)
    }

    // The same statements run whether the pupil exists or not, and for both ways.
    async fn look_up(&self, question: &Question, now: Timestamp) -> Result<Found, QueryError> {
        let (code, refs) = match &question.subject {
            Subject::Code { code, .. } => (code.uuid(), Vec::new()),
            Subject::Number { number, .. } => (
                Uuid::nil(),
                self.vault
                    .subject_refs(number)
                    .iter()
                    .map(|reference| reference.value.to_vec())
                    .collect(),
            ),
        };
        let rows = store::load_directory(&self.pool, code, &refs, self.settings.rows_max).await?;
        let subject_ref = match &question.subject {
            Subject::Code { .. } => rows.first().map(|row| row.subject_ref.clone()),
            Subject::Number { .. } => refs.first().cloned(),
        };
        let sources = self.load_sources(rows).await?;
        let reader = self.evidence.clone();
        let dossiers = tokio::task::spawn_blocking(move || {
            sources
                .into_iter()
                .filter_map(|(row, source)| dossier_of(&reader, row, source, now))
                .collect()
        })
        .await
        .map_err(|_| QueryError::Fault("the verification was cut off"))?;
        Ok(Found { dossiers, subject_ref })
    }

    async fn load_sources(
        &self,
        rows: Vec<DirectoryRow>,
    ) -> Result<Vec<(DirectoryRow, Option<store::StoredRecord>)>, QueryError> {
        let participants: BTreeSet<i32> = rows.iter().map(|row| row.participant_id).collect();
        let mut records = BTreeMap::new();
        for participant in &participants {
            let keys: Vec<(i16, Uuid)> = rows
                .iter()
                .filter(|row| row.participant_id == *participant)
                .map(|row| (row.school_year, row.record_id))
                .collect();
            records.extend(store::load_records(&self.pool, *participant, &keys).await?);
        }
        if participants.is_empty() {
            // Participant 0 has no rows: who is not found costs the same statements as who is.
            store::load_records(&self.pool, 0, &[(0, Uuid::nil())]).await?;
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let record = records.remove(&row.record_id);
                (row, record)
            })
            .collect())
    }

    async fn sign(&self, mut answer: Answer) -> Result<Answer, QueryError> {
        let signer = self.signer.clone();
        tokio::task::spawn_blocking(move || {
            let payload = jws::canonical_json(&answer)?;
            answer.signature =
                Some(jws::sign_detached(&payload, signer.as_ref(), answer.answered_at)?);
            Ok(answer)
        })
        .await
        .map_err(|_| QueryError::Fault("the signing was cut off"))?
    }
}

fn dossier_of(
    reader: &EvidenceReader,
    row: DirectoryRow,
    record: Option<store::StoredRecord>,
    now: Timestamp,
) -> Option<Dossier> {
    let (Some(school_year), Some(level)) =
        (SchoolYear::starting(row.school_year), Level::from_number(row.level))
    else {
        return None;
    };
    let mut dossier = Dossier {
        code: row.code,
        school_year,
        level,
        status: Status::Effective,
        received_at: None,
        evidence: Evidence::Unreadable,
    };
    if let Some(record) = record {
        dossier.received_at = Some(record.received_at);
        dossier.status = match record.status.as_str() {
            "EFFECTIVE" => Status::Effective,
            "SUPERSEDED" => Status::Superseded,
            _ => Status::Recalled,
        };
        if let Some((codec, key_id, body)) = record.body {
            dossier.evidence = reader.read(
                &Source {
                    participant_id: row.participant_id,
                    school_year: row.school_year,
                    record_id: row.record_id,
                    version: record.version,
                    code: row.code,
                    codec,
                    key_id,
                    body,
                },
                now,
            );
        }
    }
    Some(dossier)
}

/// Return the calendar day in Việt Nam (UTC+7, no summer time).
pub fn vietnam_day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::fixed(Offset::constant(7))).date()
}
