//! Times each step of one record on one thread, with the code and the tables of the product.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use hocba::app::Settings;
use hocba::app::parts::Foundation;
use hocba::intake::canonical::{self, Lines};
use hocba::intake::source::{Failure, decoded};
use hocba::intake::{Format, ministry};
use hocba::map::{self, Event, Stamp};
use hocba::pipeline::examine::{BatchContext, Examiner, Item, Source, vietnam_date};
use hocba::platform::clock::{Clock, SystemClock};
use hocba::signature::{SignerBlock, seal_element};
use hocba::transcript::{RecordId, Transcript, ValidTranscript};
use hocba::validate::{self, Checked};
use hocba::vault::Context as VaultContext;
use jiff::Timestamp;
use uuid::Uuid;

use super::cpu;
use super::world::{Part, SCHOOL_YEAR, World};

/// Names of the steps, in the order of the journey.
pub const STEPS: [&str; 11] = [
    "scan",
    "verify_list",
    "cut",
    "verify_record",
    "trust",
    "decode",
    "validate",
    "map",
    "seal",
    "store",
    "examine",
];

/// Bytes and signatures of one record, for the limit.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Shape {
    /// Bytes as sent.
    pub wire: f64,
    /// Bytes of the document, decompressed.
    pub document: f64,
    /// Octets every signer signed.
    pub octets: f64,
    /// Bytes of the sealed national record.
    pub sealed: f64,
    /// Bytes encrypted at rest, after compression.
    pub stored: f64,
    /// Signatures of the record itself.
    pub signatures: f64,
    /// Records below one signature of a list; 0 where there is none.
    pub list_records: f64,
}

/// Everything records are judged with.
pub struct Bench {
    foundation: Foundation,
    examiner: Examiner,
}

/// A record between two steps.
struct Taken {
    source: Vec<u8>,
    signers: Vec<SignerBlock>,
    octets: usize,
    transcript: Transcript,
}

type Times = BTreeMap<&'static str, f64>;

impl Bench {
    /// Load the tables and keys of `world`.
    pub fn open(world: &World) -> anyhow::Result<Self> {
        let settings = Settings::load(Some(&world.installation.config))?;
        let foundation = Foundation::open(settings)?;
        let examiner = foundation.examiner()?;
        Ok(Self { foundation, examiner })
    }

    /// Time every step over the records of `body`; the first of two passes fills the caches.
    pub fn measure(&self, part: &Part, body: &[u8]) -> anyhow::Result<(Times, Shape)> {
        self.pass(part, body)?;
        self.pass(part, body)
    }

    fn pass(&self, part: &Part, body: &[u8]) -> anyhow::Result<(Times, Shape)> {
        let (mut times, mut shape) = (Times::new(), Shape::default());
        let is_list = part.format != Format::Ndjson;
        let (bytes, scan) = cpu::of_thread(|| self.scan(part, body))?;
        times.insert("scan", scan);
        if is_list {
            let ((), list) = cpu::of_thread(|| self.verify_list(part, body))?;
            times.insert("verify_list", list);
        }
        let (sources, cut) = cpu::of_thread(|| self.cut(part, body))?;
        times.insert("cut", cut);
        let records = sources.len() as f64;
        shape.wire = body.len() as f64 / records;
        shape.document = bytes as f64 / records;
        shape.list_records = if is_list { records } else { 0.0 };
        let items = copies(&sources);
        let taken = self.verify(sources, &mut times)?;
        self.follow(part, taken, &mut times, &mut shape)?;
        let ((), examine) = cpu::of_thread(|| self.examine(part, items))?;
        times.insert("examine", examine);
        for time in times.values_mut() {
            *time /= records;
        }
        Ok((times, shape))
    }

    fn open_body<'b>(&self, part: &Part, body: &'b [u8]) -> anyhow::Result<Box<dyn BufRead + 'b>> {
        let settings = &self.foundation.settings.intake;
        let failure = Failure::default();
        Ok(decoded(body, part.format, part.encoding, settings, &failure)?)
    }

    // What is done before a body is acknowledged.
    fn scan(&self, part: &Part, body: &[u8]) -> anyhow::Result<u64> {
        let reader = self.open_body(part, body)?;
        if part.format != Format::Ndjson {
            return Ok(self.examiner.verifier.scan(reader)?.bytes);
        }
        let mut lines = Lines::new(reader, self.examiner.lines.line_bytes_max);
        let mut bytes = 0;
        while let Some(line) = lines.next_line()? {
            bytes += std::str::from_utf8(line.octets.context("too long")?)?.len() as u64;
        }
        Ok(bytes)
    }

    fn verify_list(&self, part: &Part, body: &[u8]) -> anyhow::Result<()> {
        let open =
            || self.open_body(part, body).map_err(|error| std::io::Error::other(error.to_string()));
        let verified = self.examiner.verifier.verify_list(open);
        verified.map(drop).map_err(|fault| anyhow!("{fault}"))
    }

    fn cut(&self, part: &Part, body: &[u8]) -> anyhow::Result<Vec<Source>> {
        let reader = self.open_body(part, body)?;
        let mut sources = Vec::new();
        if part.format == Format::Ndjson {
            let mut lines = Lines::new(reader, self.examiner.lines.line_bytes_max);
            while let Some(line) = lines.next_line()? {
                sources.push(Source::Line(line.octets.context("too long")?.to_vec()));
            }
        } else {
            for slice in self.examiner.verifier.records(reader) {
                let slice = slice?;
                sources.push(Source::Xml(slice.bytes, slice.inherited));
            }
        }
        Ok(sources)
    }

    fn verify(&self, sources: Vec<Source>, times: &mut Times) -> anyhow::Result<Vec<Taken>> {
        let verifier = &self.examiner.verifier;
        if matches!(sources.first(), Some(Source::Line(_))) {
            return self.verify_lines(&sources, times);
        }
        let verified = timed(times, "verify_record", || {
            each(&sources, |source| {
                let Source::Xml(bytes, inherited) = source else {
                    bail!("a line in a list");
                };
                let verified = verifier.verify_record(bytes, inherited);
                verified.map_err(|faults| anyhow!("{faults:?}"))
            })
        })?;
        let decoded = timed(times, "decode", || {
            each(&verified, |record| {
                let decoded = ministry::decode(&record.data, &self.examiner.ministry);
                decoded.map_err(|violations| anyhow!("{violations:?}"))
            })
        })?;
        let both = verified.into_iter().zip(decoded).zip(sources);
        let all = both.map(|((verified, decoded), source)| Taken {
            source: octets_of(&source).to_vec(),
            signers: verified.signers,
            octets: verified.data.len(),
            transcript: decoded.transcript,
        });
        Ok(all.collect())
    }

    fn verify_lines(&self, sources: &[Source], times: &mut Times) -> anyhow::Result<Vec<Taken>> {
        let verifier = &self.examiner.verifier;
        let lines = timed(times, "decode", || {
            let rules = &verifier.profile().signers;
            each(sources, |source| {
                canonical::decode(octets_of(source), &self.examiner.lines, rules)
                    .map_err(|fault| anyhow!("{fault:?}"))
            })
        })?;
        let signers = timed(times, "verify_record", || {
            each(&lines, |line| {
                let tokens: Vec<(&String, &String)> = line.signatures.iter().collect();
                each(&tokens, |(role, token)| {
                    let jws = verifier.verify_detached(token, &line.record_octets);
                    let jws = jws.map_err(|fault| anyhow!("{fault:?}"))?;
                    Ok(SignerBlock {
                        role: (*role).clone(),
                        signing_time: jws.signing_time,
                        signed_on: None,
                        personal_number: None,
                        certificate: jws.certificate,
                        chain: jws.chain,
                        subject_name: jws.subject_name,
                    })
                })
            })
        })?;
        let both = lines.into_iter().zip(signers).zip(sources);
        let all = both.map(|((line, signers), source)| Taken {
            source: octets_of(source).to_vec(),
            signers,
            octets: line.record_octets.len(),
            transcript: line.transcript,
        });
        Ok(all.collect())
    }

    fn follow(
        &self,
        part: &Part,
        taken: Vec<Taken>,
        times: &mut Times,
        shape: &mut Shape,
    ) -> anyhow::Result<()> {
        let records = taken.len() as f64;
        let now = SystemClock.now();
        let id = hocba::intake::uuid_at(now);
        for record in &taken {
            shape.signatures += record.signers.len() as f64 / records;
            shape.octets += record.octets as f64 / records;
        }
        timed(times, "trust", || each(&taken, |record| self.trust(&record.signers, now)))?;
        let (sources, transcripts): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|record| (record.source, record.transcript)).unzip();
        let valid = timed(times, "validate", || {
            owned(transcripts, |transcript| self.validate(part, transcript, now))
        })?;
        let national = timed(times, "map", || owned(valid, |valid| self.map(valid, id, now)))?;
        let sealed = timed(times, "seal", || {
            let id = format!("b-{id}");
            each(&national, |bytes| Ok(seal_element(bytes, &id, &self.examiner.seal, now)?))
        })?;
        let stored = timed(times, "store", || {
            let pairs: Vec<_> = sources.iter().zip(&sealed).collect();
            each(&pairs, |(source, sealed)| self.store(id, source, sealed))
        })?;
        let total = |lengths: &mut dyn Iterator<Item = usize>| lengths.sum::<usize>() as f64;
        shape.sealed = total(&mut sealed.iter().map(Vec::len)) / records;
        shape.stored = total(&mut stored.into_iter()) / records;
        Ok(())
    }

    fn store(&self, id: Uuid, source: &[u8], sealed: &[u8]) -> anyhow::Result<usize> {
        let mut stored = 0;
        for (kind, bytes) in [(1, source), (2, sealed)] {
            let context =
                VaultContext { participant_id: 1, school_year: SCHOOL_YEAR, id, version: 1, kind };
            stored += self.examiner.vault.seal(&context, bytes)?.body.len();
        }
        Ok(stored)
    }

    fn trust(&self, signers: &[SignerBlock], now: Timestamp) -> anyhow::Result<()> {
        for signer in signers {
            let purpose =
                hocba::trust::roles::purpose_of(self.examiner.verifier.profile(), &signer.role);
            let verdict = self.examiner.anchors.check(
                &signer.certificate,
                &signer.chain,
                signer.signing_time,
                now,
                purpose,
            );
            if !verdict.is_confirmed() {
                bail!("a signer is not believed: {:?}", verdict.reasons);
            }
        }
        Ok(())
    }

    fn validate(
        &self,
        part: &Part,
        transcript: Transcript,
        now: Timestamp,
    ) -> anyhow::Result<ValidTranscript> {
        let context = validate::Context {
            participant_province: part.province.to_owned(),
            received_on: vietnam_date(now),
        };
        let rules = &self.examiner.rules;
        match validate::check(rules, &self.examiner.codes, transcript, &context) {
            Checked::Valid(valid) => Ok(valid),
            other => bail!("a record is not valid: {:?}", other.violations()),
        }
    }

    fn map(&self, valid: ValidTranscript, id: Uuid, now: Timestamp) -> anyhow::Result<Vec<u8>> {
        let stamp = Stamp {
            record_id: RecordId(id),
            event: Event::New,
            version: NonZeroU32::MIN,
            updated_at: now,
        };
        let (mapping, codes) = (&self.examiner.mapping, &self.examiner.codes);
        let national =
            map::map(mapping, codes, valid, &stamp).map_err(|broken| anyhow!("{broken:?}"))?;
        let mut bytes = Vec::with_capacity(8 * 1024);
        national.to_xml(&mut bytes);
        Ok(bytes)
    }

    fn examine(&self, part: &Part, items: Vec<Item>) -> anyhow::Result<()> {
        let batch = BatchContext {
            participant_id: 1,
            province_code: part.province.to_owned(),
            received_at: SystemClock.now(),
        };
        for item in items {
            let record = self.examiner.examine(&batch, item)?;
            if record.national.is_none() {
                bail!("a record was not accepted: {}", record.violations);
            }
        }
        Ok(())
    }
}

fn copies(sources: &[Source]) -> Vec<Item> {
    let copy = |source: &Source| match source {
        Source::Xml(bytes, inherited) => Source::Xml(bytes.clone(), Arc::clone(inherited)),
        Source::Line(bytes) => Source::Line(bytes.clone()),
    };
    let items =
        (0..).zip(sources).map(|(position, source)| Item { position, source: copy(source) });
    items.collect()
}

fn octets_of(source: &Source) -> &[u8] {
    let (Source::Xml(bytes, _) | Source::Line(bytes)) = source;
    bytes
}

fn each<A, B>(all: &[A], work: impl FnMut(&A) -> anyhow::Result<B>) -> anyhow::Result<Vec<B>> {
    all.iter().map(work).collect()
}

fn owned<A, B>(all: Vec<A>, work: impl FnMut(A) -> anyhow::Result<B>) -> anyhow::Result<Vec<B>> {
    all.into_iter().map(work).collect()
}

// One step over all records at a time: the clock of a thread is too coarse for a single record.
fn timed<T>(
    times: &mut Times,
    step: &'static str,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (done, us) = cpu::of_thread(work)?;
    times.insert(step, us);
    Ok(done)
}
