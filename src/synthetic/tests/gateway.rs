//! Judges made-up records the way the gateway does, for tests.

use std::collections::{BTreeSet, HashSet};
use std::io::{BufReader, Cursor, Read};
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use crate::codes::Codes;
use crate::intake::envelope::{self, ContentReader};
use crate::intake::{canonical, ministry};
use crate::map::{self, Event, Mapping, Stamp};
use crate::platform::clock::{ManualClock, SharedClock};
use crate::platform::config::Tables;
use crate::signature::{self, Verifier};
use crate::synthetic::pki::{Layout, Pki, Role};
use crate::synthetic::{Format, SIGNATURE_PROFILE};
use crate::transcript::{Field, RecordId, Severity, Transcript};
use crate::trust::{self, Anchors, CertificateVerdict, SignerPurpose, SystemSettings, TrustSystem};
use crate::validate::{self, Checked, Context, Rules};

/// Everything a record passes on its way to the national form.
pub(super) struct Gateway {
    pub(super) codes: Codes,
    rules: Rules,
    mapping: Mapping,
    ministry: ministry::Profile,
    verifier: Verifier,
    anchors: Anchors,
    lines: canonical::Settings,
    content: envelope::Settings,
    pub(super) layout: Layout,
    pub(super) clock: SharedClock,
    _dir: tempfile::TempDir,
}

#[derive(serde::Deserialize)]
struct Defaults {
    signature: signature::Settings,
    trust: trust::Settings,
    intake: IntakeDefaults,
}

#[derive(serde::Deserialize)]
struct IntakeDefaults {
    line: canonical::Settings,
    content: envelope::Settings,
}

pub(super) fn gateway() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(|| {
        let tables = Tables::default();
        let clock = Arc::new(ManualClock::new("2026-11-23T08:00:00Z".parse().unwrap()));
        let dir = tempfile::tempdir().unwrap();
        let layout = Pki::create(dir.path(), &["20".to_owned()], &*clock).unwrap();
        let mut defaults: Defaults = tables.parse("default.toml").unwrap();
        let system = |role| SystemSettings {
            anchors: vec![layout.certificate_path(layout.only(role).unwrap())],
            intermediates: Vec::new(),
        };
        defaults.trust.public_ca = system(Role::PublicRoot);
        defaults.trust.official_duty = system(Role::OfficialDutyRoot);
        let codes = Codes::load(&tables).unwrap();
        Gateway {
            rules: Rules::load(&tables, &validate::Settings::default()).unwrap(),
            mapping: Mapping::load(&tables, &codes).unwrap(),
            ministry: ministry::Profile::load(&tables).unwrap(),
            verifier: Verifier::new(tables.parse(SIGNATURE_PROFILE).unwrap(), defaults.signature),
            anchors: Anchors::load(defaults.trust).unwrap(),
            codes,
            lines: defaults.intake.line,
            content: defaults.intake.content,
            layout,
            clock,
            _dir: dir,
        }
    })
}

/// What the gateway says of one record: grave reasons, then warnings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) grave: BTreeSet<String>,
    pub(super) warnings: BTreeSet<String>,
    pub(super) code: Option<String>,
    pub(super) national: Option<String>,
    pub(super) systems: HashSet<&'static str>,
}

impl Gateway {
    fn trust(
        &self,
        said: &mut Said,
        role: &str,
        verdict: &CertificateVerdict,
        number: Option<&str>,
    ) {
        for reason in &verdict.reasons {
            said.grave.insert(format!("trust.{}", reason.code()));
        }
        said.systems.extend(verdict.system.map(TrustSystem::name));
        if let (Some(certified), Some(written)) = (verdict.personal_number(), number)
            && certified != written
        {
            assert_eq!(role, "GVCN");
            said.grave.insert("trust.signer-number-differs".to_owned());
        }
    }

    fn judge(
        &self,
        role: &str,
        certificate: &[u8],
        chain: &[Vec<u8>],
        at: jiff::Timestamp,
    ) -> CertificateVerdict {
        let purpose = match role {
            "KY_PHAT_HANH" => SignerPurpose::Organisation,
            _ => SignerPurpose::Person,
        };
        self.anchors.check(certificate, chain, at, self.clock.now(), purpose)
    }

    fn xml_record(&self, slice: &signature::RecordSlice) -> Said {
        let mut said = Said::default();
        let verified = match self.verifier.verify_record(&slice.bytes, &slice.inherited) {
            Ok(verified) => verified,
            Err(faults) => {
                said.grave =
                    faults.iter().map(|fault| format!("signature.{}", fault.code())).collect();
                return said;
            }
        };
        for signer in &verified.signers {
            let verdict =
                self.judge(&signer.role, &signer.certificate, &signer.chain, signer.signing_time);
            self.trust(&mut said, &signer.role, &verdict, signer.personal_number.as_deref());
        }
        match ministry::decode(&verified.data, &self.ministry) {
            Ok(decoded) => {
                said.warnings.extend(decoded.warnings.into_iter().map(|warning| warning.rule));
                self.judge_content(&mut said, decoded.transcript);
            }
            Err(violations) => said.grave.extend(violations.into_iter().map(|one| one.rule)),
        }
        said
    }

    fn line(&self, line: &str) -> Said {
        let mut said = Said::default();
        let signers = &self.verifier.profile().signers;
        let line = match canonical::decode(line.as_bytes(), &self.lines, signers) {
            Ok(line) => line,
            Err(fault) => {
                said.grave.insert(fault.violation().rule);
                return said;
            }
        };
        for (role, token) in &line.signatures {
            match self.verifier.verify_detached(token, &line.record_octets) {
                Ok(jws) => {
                    let verdict = self.judge(role, &jws.certificate, &jws.chain, jws.signing_time);
                    self.trust(&mut said, role, &verdict, None);
                }
                Err(fault) => {
                    said.grave.insert(format!("signature.{}", fault.code()));
                    return said;
                }
            }
        }
        self.judge_content(&mut said, line.transcript);
        said
    }

    fn judge_content(&self, said: &mut Said, transcript: Transcript) {
        said.code = transcript.value(Field::Code).map(str::to_owned);
        let context = Context {
            participant_province: "20".to_owned(),
            received_on: jiff::civil::date(2026, 8, 20),
        };
        let checked = validate::check(&self.rules, &self.codes, transcript, &context);
        for violation in checked.violations() {
            if violation.severity > Severity::Warning {
                said.grave.insert(violation.rule.clone());
            } else {
                said.warnings.insert(violation.rule.clone());
            }
        }
        let Checked::Valid(valid) = checked else {
            return;
        };
        let stamp = Stamp {
            record_id: RecordId(uuid::Uuid::now_v7()),
            event: Event::New,
            version: NonZeroU32::MIN,
            updated_at: self.clock.now(),
        };
        match map::map(&self.mapping, &self.codes, valid, &stamp) {
            Ok(record) => said.national = record.value("hovaten").map(str::to_owned),
            Err(violations) => {
                said.grave.extend(violations.into_iter().map(|one| format!("map:{}", one.rule)));
            }
        }
    }

    pub(super) fn batch(&self, bytes: &[u8], format: Format) -> Vec<Said> {
        let document = match format {
            Format::Ndjson => {
                let text = std::str::from_utf8(bytes).unwrap();
                return text.lines().map(|line| self.line(line)).collect();
            }
            Format::Xml => bytes.to_vec(),
            Format::Content => {
                let mut document = Vec::new();
                let mut reader = ContentReader::new(bytes, &self.content);
                reader.read_to_end(&mut document).unwrap();
                document
            }
        };
        let open = || Ok(BufReader::new(Cursor::new(document.clone())));
        let list = self.verifier.verify_list(open).unwrap();
        let verdict = self.judge("KY_PHAT_HANH", &list.certificate, &list.chain, list.signing_time);
        assert!(verdict.is_confirmed(), "{:?}", verdict.reasons);
        let records = self.verifier.records(open().unwrap());
        let said: Vec<Said> = records.map(|slice| self.xml_record(&slice.unwrap())).collect();
        assert_eq!(u64::try_from(said.len()).unwrap(), list.records);
        said
    }
}
