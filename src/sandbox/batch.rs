//! Checks a batch as the national system would: seal of the whole, then seal and schema of each record.

use quick_xml::Reader;
use quick_xml::events::Event;
use uuid::Uuid;

use crate::map::Dictionary;
use crate::outbox::forming::sha256;
use crate::receipts::hex;
use crate::signature::certificate::fingerprint;
use crate::signature::{RecordSlice, Verifier};

/// Checks batches.
pub(super) struct Checker {
    pub(super) verifier: Verifier,
    pub(super) gateway: Vec<[u8; 32]>,
    pub(super) dictionary: Dictionary,
    pub(super) records_max: usize,
}

/// One record of a batch, checked.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) record_id: String,
    pub(super) version: i32,
    pub(super) digest: String,
    /// Why it is refused, as a code.
    pub(super) refused: Option<String>,
}

/// Why a batch is refused whole, and with which status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) reason: &'static str,
}

impl Checker {
    /// Check the batch `bytes` that came under `message_id`; takes a millisecond per ten records.
    pub(super) fn check(&self, message_id: Uuid, bytes: &[u8]) -> Result<Vec<Checked>, Refused> {
        let bad = |reason| Refused { status: 422, reason };
        let list = self.verifier.verify_list(|| Ok(bytes)).map_err(|fault| bad(fault.code()))?;
        if !self.gateway.contains(&fingerprint(&list.certificate)) {
            return Err(bad("sealer-not-registered"));
        }
        if list.records > self.records_max as u64 {
            return Err(Refused { status: 413, reason: "too-many-records" });
        }
        // The start tag of the root is covered by the seal just verified.
        if root_message_id(bytes) != Some(message_id) {
            return Err(bad("message-id-differs"));
        }
        self.verifier
            .records(bytes)
            .map(|record| record.map(|slice| self.record(&slice)).map_err(|_| bad("malformed")))
            .collect()
    }

    fn record(&self, slice: &RecordSlice) -> Checked {
        let digest = hex(&sha256(&slice.bytes));
        let received = self.dictionary.check_record(&slice.bytes);
        let version = received.version.and_then(|version| i32::try_from(version.get()).ok());
        Checked {
            record_id: received.record_id.clone().unwrap_or_default(),
            version: version.unwrap_or(0),
            digest,
            refused: self.seal_fault(slice).or_else(|| {
                let first = received.faults.first()?;
                Some(format!("schema:{}", first.column))
            }),
        }
    }

    fn seal_fault(&self, slice: &RecordSlice) -> Option<String> {
        match self.verifier.verify_sealed_element(&slice.bytes) {
            Err(fault) => Some(format!("seal:{}", fault.code())),
            Ok(seal) if self.gateway.contains(&fingerprint(&seal.certificate)) => None,
            Ok(_) => Some("seal:sealer-not-registered".to_owned()),
        }
    }
}

fn root_message_id(bytes: &[u8]) -> Option<Uuid> {
    let mut reader = Reader::from_str(std::str::from_utf8(bytes).ok()?);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let attribute = start.try_get_attribute("messageId").ok()??;
                return attribute.value.as_ref().parse().ok();
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}
