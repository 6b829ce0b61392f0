//! Writes a signed batch in one of the gateway's formats, on several threads, in order.

use std::io::Write;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jiff::civil::Date;

use super::SyntheticError;
use super::fault::{Fate, FaultKind};
use super::packing::Packer;
use super::run::{CLASS_SIZE, Run};
use super::signing::{RecordWriter, moment};
use super::staff::Staff;
use crate::intake::ministry::Profile as Mapping;
use crate::signature::{ListWriter, Profile};

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
        let writer = RecordWriter { batch: self, school, class: &class, signers: &signers, format };
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
                portion.faults.push(self.planted(kind, position - range.start, format));
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
