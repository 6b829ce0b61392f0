//! Reads whom a certificate names, without guessing from names.

use x509_parser::x509::X509Name;

const USER_ID: &str = "0.9.2342.19200300.100.1.1";
const PERSONAL_NUMBER_DIGITS: usize = 12;

/// What stands in the UID of a Vietnamese certificate (rules of the domain, 5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectCode {
    /// `CCCD:` and 12 digits: a person.
    PersonalNumber(String),
    /// `CMND:` and an older identity card number, or `HC:` and a passport: a person.
    OtherPersonal,
    /// `MST:` tax code or `MNS:` budget unit code: an organisation.
    Organisation(String),
}

/// Whom a certificate names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Common name.
    pub common_name: Option<String>,
    /// Organisation.
    pub organisation: Option<String>,
    /// Code in the UID, where there is one.
    pub code: Option<SubjectCode>,
}

impl Subject {
    /// Read a subject.
    pub fn read(name: &X509Name<'_>) -> Self {
        let first = |mut found: Box<dyn Iterator<Item = String> + '_>| found.next();
        let common = name.iter_common_name().filter_map(|a| a.as_str().ok().map(str::to_owned));
        let organisation =
            name.iter_organization().filter_map(|a| a.as_str().ok().map(str::to_owned));
        let code = name
            .iter_attributes()
            .filter(|attribute| attribute.attr_type().to_id_string() == USER_ID)
            .find_map(|attribute| attribute.as_str().ok().and_then(code_of));
        Self {
            common_name: first(Box::new(common)),
            organisation: first(Box::new(organisation)),
            code,
        }
    }

    /// Return the person's 12-digit number, where there is one.
    pub fn personal_number(&self) -> Option<&str> {
        match &self.code {
            Some(SubjectCode::PersonalNumber(number)) => Some(number),
            _ => None,
        }
    }
}

fn code_of(text: &str) -> Option<SubjectCode> {
    let (kind, value) = text.split_once(':')?;
    let value = value.trim();
    match kind.trim().to_ascii_uppercase().as_str() {
        "CCCD" => {
            let right = value.len() == PERSONAL_NUMBER_DIGITS
                && value.bytes().all(|byte| byte.is_ascii_digit());
            right.then(|| SubjectCode::PersonalNumber(value.to_owned()))
        }
        "CMND" | "HC" => Some(SubjectCode::OtherPersonal),
        "MST" | "MNS" => Some(SubjectCode::Organisation(value.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_tells_persons_from_organisations() {
        let number = "001085000001".to_owned();
        assert_eq!(code_of("CCCD:001085000001"), Some(SubjectCode::PersonalNumber(number)));
        assert_eq!(code_of("CCCD:12345"), None);
        assert_eq!(code_of("CMND:123456789"), Some(SubjectCode::OtherPersonal));
        assert_eq!(code_of("MST:0100000001"), Some(SubjectCode::Organisation("0100000001".into())));
        assert_eq!(code_of("001085000001"), None);
    }
}
