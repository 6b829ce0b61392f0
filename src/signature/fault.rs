//! Names every way a signature can be bad, by a stable code and without any content.

use super::xml::XmlFault;

/// A fault of one record's signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureFault {
    /// Tag of the signer block concerned (`CBQL`); `None` when it is the record as a whole.
    pub role: Option<String>,
    /// What is wrong.
    pub kind: FaultKind,
}

impl SignatureFault {
    /// Return the stable reason code; the text is `signature.fault.<code>`.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl std::fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.role {
            Some(role) => write!(f, "{}: {}", role, self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl std::error::Error for SignatureFault {}

/// What is wrong with a signature or with the place it stands in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The XML breaks a rule of the firewall.
    #[error("the XML is refused: {0}")]
    Xml(XmlFault),
    /// The root element is another.
    #[error("the root element is not the expected one")]
    WrongRoot,
    /// There is an element where none of that name may stand.
    #[error("an element stands where it may not")]
    UnexpectedElement,
    /// There is text where none may stand.
    #[error("text stands where it may not")]
    UnexpectedText,
    /// The signed region is absent.
    #[error("the data region is missing")]
    DataRegionMissing,
    /// The signed region, or something named like it, occurs twice.
    #[error("the data region occurs more than once")]
    DataRegionRepeated,
    /// The signed region has no id.
    #[error("the data region has no id")]
    DataRegionWithoutId,
    /// The list of signers is absent.
    #[error("the list of signers is missing")]
    SignersListMissing,
    /// The list of signers occurs twice.
    #[error("the list of signers occurs more than once")]
    SignersListRepeated,
    /// A signer block is not in the profile.
    #[error("a signer block is not known to the profile")]
    UnknownSigner,
    /// A signer block that may occur once occurs twice.
    #[error("the signer block occurs more than once")]
    SignerRepeated,
    /// A required signer block is absent.
    #[error("a required signer is missing")]
    SignerMissing,
    /// The block, or the list, has no Signature.
    #[error("there is no signature")]
    SignatureMissing,
    /// The block, or the list, has two.
    #[error("there is more than one signature")]
    SignatureRepeated,
    /// A Signature stands outside of the permitted places.
    #[error("a signature stands where it may not")]
    SignatureMisplaced,
    /// Two elements have the same id.
    #[error("two elements have the same id")]
    DuplicateId,
    /// The Signature element has not the required inner shape.
    #[error("the signature has the wrong shape")]
    SignatureShape,
    /// There are not exactly two references.
    #[error("there are not exactly two references")]
    ReferenceCount,
    /// A reference points elsewhere than to the data or to this signature's own SigningTime.
    #[error("a reference points elsewhere")]
    ReferenceTarget,
    /// Both references point to the same thing.
    #[error("both references point to the same")]
    ReferenceRepeated,
    /// A transform is not in the allow-list, or too many or in the wrong order.
    #[error("a transform is not permitted")]
    TransformNotPermitted,
    /// A canonicalisation, digest or signature method is not in the allow-list.
    #[error("an algorithm is not permitted")]
    AlgorithmNotPermitted,
    /// SHA-1, or an RSA key below the permitted size.
    #[error("the algorithm or key is weak")]
    WeakAlgorithm,
    /// KeyInfo has not exactly one X509Data with subject name and certificate.
    #[error("KeyInfo has the wrong shape")]
    KeyInfoShape,
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    CertificateUnreadable,
    /// X509SubjectName is not the certificate's subject.
    #[error("the subject name is not the certificate's")]
    SubjectNameMismatch,
    /// The key cannot be used with the signature method, or is of a kind not permitted.
    #[error("the key does not fit the signature method")]
    KeyMismatch,
    /// SigningTime is absent, doubled or not where it belongs.
    #[error("the signing time is missing")]
    SigningTimeMissing,
    /// SigningTime is not `YYYY-MM-DDThh:mm:ssTZD`.
    #[error("the signing time has the wrong form")]
    SigningTimeForm,
    /// The signature value does not verify.
    #[error("the signature does not verify")]
    SignatureInvalid,
    /// The data was changed after it was signed.
    #[error("the data differs from what was signed")]
    DataDigest,
    /// SigningTime was changed after it was signed.
    #[error("the signing time differs from what was signed")]
    SigningTimeDigest,
    /// A JWS token or header has the wrong shape.
    #[error("the JWS has the wrong shape")]
    JwsShape,
    /// A JWS asks for an extension that is not understood (`crit`).
    #[error("the JWS asks for an unknown extension")]
    JwsExtension,
}

impl FaultKind {
    /// Return the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Xml(fault) => fault.kind.code(),
            Self::WrongRoot => "wrong-root",
            Self::UnexpectedElement => "unexpected-element",
            Self::UnexpectedText => "unexpected-text",
            Self::DataRegionMissing => "data-region-missing",
            Self::DataRegionRepeated => "data-region-repeated",
            Self::DataRegionWithoutId => "data-region-without-id",
            Self::SignersListMissing => "signers-list-missing",
            Self::SignersListRepeated => "signers-list-repeated",
            Self::UnknownSigner => "unknown-signer",
            Self::SignerRepeated => "signer-repeated",
            Self::SignerMissing => "signer-missing",
            Self::SignatureMissing => "signature-missing",
            Self::SignatureRepeated => "signature-repeated",
            Self::SignatureMisplaced => "signature-misplaced",
            Self::DuplicateId => "duplicate-id",
            Self::SignatureShape => "signature-shape",
            Self::ReferenceCount => "reference-count",
            Self::ReferenceTarget => "reference-target",
            Self::ReferenceRepeated => "reference-repeated",
            Self::TransformNotPermitted => "transform-not-permitted",
            Self::AlgorithmNotPermitted => "algorithm-not-permitted",
            Self::WeakAlgorithm => "weak-algorithm",
            Self::KeyInfoShape => "key-info-shape",
            Self::CertificateUnreadable => "certificate-unreadable",
            Self::SubjectNameMismatch => "subject-name-mismatch",
            Self::KeyMismatch => "key-mismatch",
            Self::SigningTimeMissing => "signing-time-missing",
            Self::SigningTimeForm => "signing-time-form",
            Self::SignatureInvalid => "signature-invalid",
            Self::DataDigest => "data-digest",
            Self::SigningTimeDigest => "signing-time-digest",
            Self::JwsShape => "jws-shape",
            Self::JwsExtension => "jws-extension",
        }
    }

    /// Attach the signer block it concerns.
    pub fn of(self, role: &str) -> SignatureFault {
        SignatureFault { role: Some(role.to_owned()), kind: self }
    }
}

impl From<FaultKind> for SignatureFault {
    fn from(kind: FaultKind) -> Self {
        Self { role: None, kind }
    }
}

/// Say why a list (a whole batch) is refused.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// The XML breaks a rule of the firewall.
    #[error("the XML is refused: {0}")]
    Xml(#[from] XmlFault),
    /// The list's own signature is bad.
    #[error("the signature of the list is refused: {0}")]
    Signature(FaultKind),
    /// The source could not be opened again.
    #[error("the document could not be read: {0}")]
    Source(#[from] std::io::Error),
}

impl ListFault {
    /// Return the stable reason code; the text is `signature.fault.<code>`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Xml(fault) => fault.kind.code(),
            Self::Signature(kind) => kind.code(),
            Self::Source(_) => "source-unreadable",
        }
    }
}
