//! Writes a signed batch in one of the gateway's formats, on several threads, in order.

use std::io::Write;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::SyntheticError;
use super::fault::{self, Fate, FaultKind};
use super::packing::Packer;
use super::record::Made;
use super::run::{CLASS_SIZE, Run};
use super::school::{Class, School};
use super::staff::{Signers, Staff};
use crate::intake::ministry::{self, Profile as Mapping};
use crate::signature::{ListWriter, Profile, RecordSigner, jws, sign_record};
use crate::transcript::Field;

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Ministry's `DANH_SACH_HOC_BA`, signed as a whole.
    Xml,
    /// The same in the `content` envelope.
    Content,
    /// The gateway's own form, one line `{record, signatures}` each.
    Ndjson,
}

impl Format {
    /// Find a format by its name on the command line.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "xml" => Some(Self::Xml),
            "content" => Some(Self::Content),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// A mistake that was planted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PlantedFault {
    /// Position of the record in this batch, from 0.
    pub position: u64,
    /// What is wrong.
    pub kind: FaultKind,
    /// What becomes of the record.
    pub fate: Fate,
    /// The rule or reason that must name it.
    pub rule_expected: Option<&'static str>,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Records written.
    pub records: u64,
    /// Mistakes among them, by position.
    pub faults: Vec<PlantedFault>,
}

/// The tables that say how documents look.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) signatures: Profile,
    pub(super) ministry: Mapping,
}

/// Pupils of one class that stand together in the batch.
struct Portion {
    bytes: Vec<u8>,
    records: u64,
    faults: Vec<PlantedFault>,
    last_issue: Option<Date>,
}

/// Writes the records `range` of a run.
pub(super) struct BatchWriter<'a> {
    pub(super) run: &'a Run,
    pub(super) forms: &'a Forms,
    pub(super) staff: &'a Staff,
    pub(super) threads: usize,
}

// Portions that may wait for their turn, of each thread.
const WAITING_MAX: usize = 4;

impl BatchWriter<'_> {
    /// Write the batch; memory holds a few classes, however long the range is.
    pub(super) fn write<W: Write>(
        &self,
        out: &mut W,
        range: Range<u64>,
        format: Format,
    ) -> Result<Written, SyntheticError> {
        match format {
            Format::Ndjson => {
                let mut written = Written::default();
                self.portions(&range, format, |portion| {
                    out.write_all(&portion.bytes)?;
                    written.add(portion);
                    Ok(())
                })?;
                Ok(written)
            }
            Format::Xml => self.write_list(out, range).map(|(written, _)| written),
            Format::Content => {
                let (written, packer) = self.write_list(Packer::begin()?, range)?;
                packer.finish(out)?;
                Ok(written)
            }
        }
    }

    fn write_list<W: Write>(
        &self,
        out: W,
        range: Range<u64>,
    ) -> Result<(Written, W), SyntheticError> {
        let mut list = ListWriter::begin(out, &self.forms.signatures, "dataDanhSach")?;
        let mut written = Written::default();
        let mut last = None;
        self.portions(&range, Format::Xml, |portion| {
            list.record(&portion.bytes)?;
            last = last.max(portion.last_issue);
            written.add(portion);
            Ok(())
        })?;
        // The list is sealed on the morning after its last record was issued.
        let year = self.run.setting.options.school_year.start() + 1;
        let last = last.unwrap_or(jiff::civil::date(year, 5, 31));
        let at = moment(last, 24 * 60 + 60);
        let out = list.finish(self.staff.department(), at)?;
        Ok((written, out))
    }

    fn portions(
        &self,
        range: &Range<u64>,
        format: Format,
        mut take: impl FnMut(Portion) -> Result<(), SyntheticError>,
    ) -> Result<(), SyntheticError> {
        let threads = self.threads.max(1);
        std::thread::scope(|scope| {
            let mut lanes: Vec<Receiver<Result<Portion, SyntheticError>>> = Vec::new();
            for lane in 0..threads {
                let (sender, receiver) = sync_channel(WAITING_MAX);
                let range = range.clone();
                scope.spawn(move || self.work(&range, format, lane, threads, &sender));
                lanes.push(receiver);
            }
            // Each thread makes every n-th class, so taking in turn keeps the order.
            for lane in lanes.iter().cycle() {
                match lane.recv() {
                    Ok(portion) => take(portion?)?,
                    Err(_) => break,
                }
            }
            Ok(())
        })
    }

    fn work(
        &self,
        range: &Range<u64>,
        format: Format,
        lane: usize,
        lanes: usize,
        sender: &SyncSender<Result<Portion, SyntheticError>>,
    ) {
        for class in classes(range).skip(lane).step_by(lanes) {
            let portion = self.portion(range, class, format);
            let failed = portion.is_err();
            // The other side is gone once it met an error.
            if sender.send(portion).is_err() || failed {
                return;
            }
        }
    }

    fn portion(
        &self,
        range: &Range<u64>,
        class: u64,
        format: Format,
    ) -> Result<Portion, SyntheticError> {
        let first = (class * CLASS_SIZE).max(range.start);
        let end = ((class + 1) * CLASS_SIZE).min(range.end);
        let (school, class) = self.run.class(first);
        let signers = self.staff.of(school, &class)?;
        let mut portion = Portion {
            bytes: Vec::with_capacity(usize::try_from(end - first).unwrap_or(0) * 16 * 1024),
            records: end - first,
            faults: Vec::new(),
            last_issue: None,
        };
        let mut writer = RecordWriter {
            batch: self,
            school,
            class: &class,
            signers: &signers,
            format,
        };
        let mut previous = 0..0;
        for position in first..end {
            let fault = self.fault(position, &previous, format);
            let start = portion.bytes.len();
            if fault == Some(FaultKind::RecordRepeated) {
                portion.bytes.extend_from_within(previous.clone());
            } else {
                let made = writer.write(position, fault, &mut portion.bytes)?;
                portion.last_issue = portion.last_issue.max(Some(made));
            }
            previous = start..portion.bytes.len();
            if let Some(kind) = fault {
                portion
                    .faults
                    .push(self.planted(kind, position - range.start, format));
            }
        }
        Ok(portion)
    }

    // A batch that begins in the middle of a class has no record to repeat at first.
    fn fault(&self, position: u64, previous: &Range<usize>, format: Format) -> Option<FaultKind> {
        match self.run.fault(position, format)? {
            FaultKind::RecordRepeated if previous.is_empty() => {
                Some(FaultKind::PersonalNumberMissing)
            }
            kind => Some(kind),
        }
    }

    fn planted(&self, kind: FaultKind, position: u64, format: Format) -> PlantedFault {
        let level = self.run.setting.options.level;
        PlantedFault {
            position,
            kind,
            fate: kind.fate(format),
            rule_expected: kind.rule(level, format),
        }
    }
}

impl Written {
    fn add(&mut self, portion: Portion) {
        self.records += portion.records;
        self.faults.extend(portion.faults);
    }
}

fn classes(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / CLASS_SIZE..(range.end - 1) / CLASS_SIZE + 1
}

/// Return the moment `minutes` after midnight of `day` in Vietnam.
fn moment(day: Date, minutes: i32) -> Timestamp {
    let span = jiff::Span::new().minutes(minutes);
    let zone = TimeZone::fixed(jiff::tz::offset(7));
    day.at(0, 0, 0, 0)
        .checked_add(span)
        .and_then(|local| local.to_zoned(zone))
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

struct RecordWriter<'a> {
    batch: &'a BatchWriter<'a>,
    school: &'a School,
    class: &'a Class,
    signers: &'a Signers,
    format: Format,
}

impl RecordWriter<'_> {
    // Returns the day of issue.
    fn write(
        &mut self,
        position: u64,
        fault: Option<FaultKind>,
        out: &mut Vec<u8>,
    ) -> Result<Date, SyntheticError> {
        let run = self.batch.run;
        let mut made = run.make(self.school, self.class, position);
        if let Some(kind) = fault {
            fault::spoil(kind, &run.setting, &mut made.transcript);
        }
        match self.format {
            Format::Xml | Format::Content => self.write_xml(&made, position, fault, out)?,
            Format::Ndjson => self.write_line(&made, fault, out)?,
        }
        Ok(made.issued_on)
    }

    fn write_xml(
        &self,
        made: &Made,
        position: u64,
        fault: Option<FaultKind>,
        out: &mut Vec<u8>,
    ) -> Result<(), SyntheticError> {
        let id = format!("hb{position}");
        let data_id = format!("{id}-data");
        let mut data = Vec::with_capacity(8 * 1024);
        ministry::encode(
            &made.transcript,
            &self.batch.forms.ministry,
            &data_id,
            &mut data,
        )?;
        if fault == Some(FaultKind::TagUnknown) {
            fault::insert_tag(&mut data);
        }
        let style = self.school.day_style;
        let signed_on = style.write(made.issued_on);
        let roles = self.roles(made, fault);
        let signers: Vec<RecordSigner<'_>> = roles
            .iter()
            .map(|role| RecordSigner {
                role: role.tag,
                signed_on: Some(&signed_on),
                personal_number: role.number.as_deref(),
                signer: role.signer,
                at: role.at,
            })
            .collect();
        let start = out.len();
        let profile = &self.batch.forms.signatures;
        sign_record(profile, &id, &data, &data_id, &signers, out)?;
        if fault == Some(FaultKind::GradeForged) {
            let mut forged = Vec::with_capacity(data.len());
            let transcript = fault::forged(&made.transcript);
            ministry::encode(
                &transcript,
                &self.batch.forms.ministry,
                &data_id,
                &mut forged,
            )?;
            replace(out, start, &data, forged);
        }
        Ok(())
    }

    fn write_line(
        &self,
        made: &Made,
        fault: Option<FaultKind>,
        out: &mut Vec<u8>,
    ) -> Result<(), SyntheticError> {
        let mut payload = jws::canonical_json(&made.transcript)?;
        if fault == Some(FaultKind::TagUnknown) {
            fault::insert_member(&mut payload);
        }
        let start = out.len();
        out.extend_from_slice(b"{\"record\":");
        out.extend_from_slice(&payload);
        out.extend_from_slice(b",\"signatures\":{");
        for (index, role) in self.roles(made, fault).iter().enumerate() {
            let token = jws::sign_detached(&payload, role.signer.signer().as_ref(), role.at)?;
            let comma = if index == 0 { "" } else { "," };
            out.extend_from_slice(format!("{comma}\"{}\":\"{token}\"", role.tag).as_bytes());
        }
        out.extend_from_slice(b"}}\n");
        if fault == Some(FaultKind::GradeForged) {
            let forged = jws::canonical_json(&fault::forged(&made.transcript))?;
            replace(out, start, &payload, forged);
        }
        Ok(())
    }

    // Who signs: the homeroom teacher, then the head, then the school.
    fn roles(&self, made: &Made, fault: Option<FaultKind>) -> Vec<Role<'_>> {
        let signers = self.signers;
        let begin = 8 * 60 + made.minute;
        let value = |field| made.transcript.value(field).map(str::to_owned);
        let mut roles = Vec::with_capacity(3);
        let differs = fault == Some(FaultKind::SignerNumberDiffers);
        if made.homeroom_signs || differs {
            let number = if differs {
                Some(other_number(&self.class.homeroom.number))
            } else {
                value(Field::HomeroomNumber)
            };
            let signer = if differs {
                signers.homeroom_with_number()
            } else {
                signers.homeroom()
            };
            roles.push(Role::new(
                "GVCN",
                number,
                signer,
                moment(made.issued_on, begin),
            ));
        }
        let head = match fault {
            Some(FaultKind::PrincipalSignatureMissing) => None,
            Some(FaultKind::AnchorUnknown) => Some(signers.stranger()),
            Some(FaultKind::CertificateExpired) => Some(signers.expired()),
            _ => Some(signers.principal()),
        };
        if let Some(head) = head {
            let number = value(Field::PrincipalNumber);
            let at = moment(made.issued_on, begin + 25);
            roles.push(Role::new("CBQL", number, head, at));
        }
        let at = moment(made.issued_on, begin + 70);
        roles.push(Role::new("KY_PHAT_HANH", None, signers.school(), at));
        roles
    }
}

// Puts `new` in the place of `old`, which stands somewhere after `start`.
fn replace(out: &mut Vec<u8>, start: usize, old: &[u8], new: Vec<u8>) {
    let found = out[start..]
        .windows(old.len())
        .position(|window| window == old);
    if let Some(at) = found {
        out.splice(start + at..start + at + old.len(), new);
    }
}

struct Role<'a> {
    tag: &'static str,
    number: Option<String>,
    signer: &'a crate::signature::XmlSigner,
    at: Timestamp,
}

impl<'a> Role<'a> {
    fn new(
        tag: &'static str,
        number: Option<String>,
        signer: &'a crate::signature::XmlSigner,
        at: Timestamp,
    ) -> Self {
        Self {
            tag,
            number,
            signer,
            at,
        }
    }
}

// The same person by all appearance, with one digit typed wrongly.
fn other_number(number: &str) -> String {
    let (head, last) = number.split_at(number.len().saturating_sub(1));
    let other = if last == "7" { '1' } else { '7' };
    format!("{head}{other}")
}
