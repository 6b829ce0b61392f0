//! Gives the people and schools of a run their certificates, of both trust systems.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::date;

use super::pki::{Issuers, Layout, OrganisationSubject, PersonSubject, Pki, PkiError};
use super::school::{Class, School};
use super::{Setting, SyntheticError};
use crate::platform::clock::{ManualClock, SharedClock};
use crate::signature::XmlSigner;
use crate::trust::TrustSystem;

// Homeroom teachers whose keys are kept; classes stand together in a batch.
const HOMEROOMS_MAX: usize = 512;
/// Share in per cent of public teachers with a certificate for official duty; the others bought one.
const OFFICIAL_TEACHERS: u64 = 40;
// A certificate lives five years after the clock's time; it has then expired before the signing.
const EXPIRED_YEARS: i16 = 6;

type Signer = Arc<XmlSigner>;

/// Signers of one school.
struct SchoolSigners {
    principal: Signer,
    school: Signer,
    wrong: Option<WrongSigners>,
}

/// Certificates that must not be believed.
struct WrongSigners {
    stranger: Signer,
    expired: Signer,
}

#[derive(Clone)]
struct Homeroom {
    signer: Signer,
    // The same person's certificate with the personal number in it.
    with_number: Signer,
}

/// Who signs the records of one class.
pub(super) struct Signers {
    at_school: Arc<SchoolSigners>,
    homeroom: Homeroom,
}

impl Signers {
    pub(super) fn principal(&self) -> &XmlSigner {
        &self.at_school.principal
    }

    pub(super) fn school(&self) -> &XmlSigner {
        &self.at_school.school
    }

    pub(super) fn homeroom(&self) -> &XmlSigner {
        &self.homeroom.signer
    }

    pub(super) fn homeroom_with_number(&self) -> &XmlSigner {
        &self.homeroom.with_number
    }

    pub(super) fn stranger(&self) -> &XmlSigner {
        let wrong = self.at_school.wrong.as_ref();
        wrong.map_or(self.principal(), |wrong| &wrong.stranger)
    }

    pub(super) fn expired(&self) -> &XmlSigner {
        let wrong = self.at_school.wrong.as_ref();
        wrong.map_or(self.principal(), |wrong| &wrong.expired)
    }
}

/// The certificates of a run; memory is bounded by the number of schools.
pub(super) struct Staff {
    issuers: Issuers,
    // Authorities of a PKI that nobody has configured; only where mistakes are planted.
    strangers: Option<Issuers>,
    clock: SharedClock,
    seed: u64,
    past: ManualClock,
    department: XmlSigner,
    schools: Mutex<HashMap<u64, Arc<SchoolSigners>>>,
    homerooms: Mutex<HashMap<u64, Homeroom>>,
}

impl Staff {
    /// Open the authorities of the development PKI.
    pub(super) fn open(
        setting: &Setting,
        layout: &Layout,
        clock: SharedClock,
    ) -> Result<Self, SyntheticError> {
        let issuers = Issuers::open(layout)?;
        let strangers =
            if setting.options.fault_rate > 0.0 { Some(stranger_issuers(&clock)?) } else { None };
        let name = format!("Sở Giáo dục và Đào tạo {}", setting.place.name);
        let parent = format!("UBND {}", setting.place.full_name);
        let subject = OrganisationSubject { name: &name, parent: &parent, code: None };
        let issued = issuers.organisation(TrustSystem::OfficialDuty, subject, &*clock)?;
        let long_ago = date(setting.options.school_year.start() + 1 - EXPIRED_YEARS, 1, 1);
        let long_ago = long_ago.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| PkiError::Clock)?;
        Ok(Self {
            department: XmlSigner::new(issued.signer()?, true)?,
            issuers,
            strangers,
            past: ManualClock::new(long_ago.timestamp()),
            clock,
            seed: setting.options.seed,
            schools: Mutex::default(),
            homerooms: Mutex::default(),
        })
    }

    /// Return the seal of the department, which signs lists.
    pub(super) fn department(&self) -> &XmlSigner {
        &self.department
    }

    /// Return the signers of `class`; the same person keeps the certificate while it is remembered.
    pub(super) fn of(&self, school: &School, class: &Class) -> Result<Signers, SyntheticError> {
        let mut schools = self.schools.lock().unwrap_or_else(PoisonError::into_inner);
        let at_school = match schools.get(&school.index) {
            Some(known) => Arc::clone(known),
            None => {
                let made = Arc::new(self.school_signers(school)?);
                schools.insert(school.index, Arc::clone(&made));
                made
            }
        };
        drop(schools);
        let mut homerooms = self.homerooms.lock().unwrap_or_else(PoisonError::into_inner);
        let homeroom = match homerooms.get(&class.index) {
            Some(known) => known.clone(),
            None => {
                let made = self.homeroom_signers(school, class)?;
                if homerooms.len() >= HOMEROOMS_MAX {
                    homerooms.clear();
                }
                homerooms.insert(class.index, made.clone());
                made
            }
        };
        Ok(Signers { at_school, homeroom })
    }

    fn school_signers(&self, school: &School) -> Result<SchoolSigners, SyntheticError> {
        let system = if school.private { TrustSystem::PublicCa } else { TrustSystem::OfficialDuty };
        // Certificates for official duty carry no personal number (rules of the domain, 5.3).
        let number = school.private.then_some(school.principal.number.as_str());
        let head = PersonSubject {
            name: &school.principal.name,
            organisation: &school.name,
            personal_number: number,
        };
        let tax_code = format!("MST:0{:09}", 300_000_000 + school.index);
        let parent = format!("UBND {}", school.commune.full_name);
        let seal = OrganisationSubject {
            name: &school.name,
            parent: &parent,
            code: school.private.then_some(tax_code.as_str()),
        };
        let clock = &*self.clock;
        let wrong = match &self.strangers {
            Some(strangers) => Some(WrongSigners {
                stranger: prepared(strangers.person(system, head, clock)?)?,
                expired: prepared(self.issuers.person(system, head, &self.past)?)?,
            }),
            None => None,
        };
        Ok(SchoolSigners {
            principal: prepared(self.issuers.person(system, head, clock)?)?,
            school: prepared(self.issuers.organisation(system, seal, clock)?)?,
            wrong,
        })
    }

    fn homeroom_signers(&self, school: &School, class: &Class) -> Result<Homeroom, SyntheticError> {
        let percent = if school.private { 0 } else { OFFICIAL_TEACHERS };
        let person = &class.homeroom;
        let system = Issuers::system_for(self.seed, &person.number, percent);
        let subject = |with_number: bool| PersonSubject {
            name: &person.name,
            organisation: &school.name,
            personal_number: with_number.then_some(person.number.as_str()),
        };
        let clock = &*self.clock;
        let bought = system == TrustSystem::PublicCa;
        let signer = prepared(self.issuers.person(system, subject(bought), clock)?)?;
        let with_number = if bought || self.strangers.is_none() {
            Arc::clone(&signer)
        } else {
            let public = TrustSystem::PublicCa;
            prepared(self.issuers.person(public, subject(true), clock)?)?
        };
        Ok(Homeroom { signer, with_number })
    }
}

fn prepared(issued: super::pki::IssuedSigner) -> Result<Signer, SyntheticError> {
    Ok(Arc::new(XmlSigner::new(issued.signer()?, true)?))
}

fn stranger_issuers(clock: &SharedClock) -> Result<Issuers, SyntheticError> {
    let dir = tempfile::tempdir()?;
    let layout = Pki::create(dir.path(), &[], &**clock)?;
    Ok(Issuers::open(&layout)?)
}
