//! Signs one made-up record, in XML or as a line of JSON, with the mistakes of signing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::SyntheticError;
use super::batch::{BatchWriter, Format};
use super::fault::{self, FaultKind};
use super::record::Made;
use super::school::{Class, School};
use super::staff::Signers;
use crate::intake::{canonical, ministry};
use crate::signature::{RecordSigner, XmlSigner, jws, sign_record};
use crate::transcript::Field;

/// Return the moment `minutes` after midnight of `day` in Vietnam.
pub(super) fn moment(day: Date, minutes: i32) -> Timestamp {
    let span = jiff::Span::new().minutes(minutes);
    let zone = TimeZone::fixed(jiff::tz::offset(7));
    day.at(0, 0, 0, 0)
        .checked_add(span)
        .and_then(|local| local.to_zoned(zone))
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

/// Writes the records of one class.
pub(super) struct RecordWriter<'a> {
    pub(super) batch: &'a BatchWriter<'a>,
    pub(super) school: &'a School,
    pub(super) class: &'a Class,
    pub(super) signers: &'a Signers,
    pub(super) format: Format,
}

impl RecordWriter<'_> {
    /// Append the record at `position` to `out` and return its day of issue.
    pub(super) fn write(
        &self,
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
        ministry::encode(&made.transcript, &self.batch.forms.ministry, &data_id, &mut data)?;
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
            ministry::encode(&transcript, &self.batch.forms.ministry, &data_id, &mut forged)?;
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
        let mut payload = canonical::record_octets(&made.transcript)?;
        if fault == Some(FaultKind::TagUnknown) {
            fault::insert_member(&mut payload);
        }
        let mut tokens = BTreeMap::new();
        for role in self.roles(made, fault) {
            let token = jws::sign_detached(&payload, role.signer.signer().as_ref(), role.at)?;
            tokens.insert(role.tag.to_owned(), token);
        }
        let start = out.len();
        canonical::write_line(&payload, &tokens, out);
        if fault == Some(FaultKind::GradeForged) {
            let forged = canonical::record_octets(&fault::forged(&made.transcript))?;
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
            let signer = if differs { signers.homeroom_with_number() } else { signers.homeroom() };
            roles.push(Role::new("GVCN", number, signer, moment(made.issued_on, begin)));
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
    let found = out[start..].windows(old.len()).position(|window| window == old);
    if let Some(at) = found {
        out.splice(start + at..start + at + old.len(), new);
    }
}

struct Role<'a> {
    tag: &'static str,
    number: Option<String>,
    signer: &'a XmlSigner,
    at: Timestamp,
}

impl<'a> Role<'a> {
    fn new(
        tag: &'static str,
        number: Option<String>,
        signer: &'a XmlSigner,
        at: Timestamp,
    ) -> Self {
        Self { tag, number, signer, at }
    }
}

// The same person by all appearance, with one digit typed wrongly.
fn other_number(number: &str) -> String {
    let (head, last) = number.split_at(number.len().saturating_sub(1));
    let other = if last == "7" { '1' } else { '7' };
    format!("{head}{other}")
}
