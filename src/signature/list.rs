//! Verifies a list of records as a stream, and cuts it into records.

use std::collections::HashSet;
use std::io::{self, BufRead};
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::Timestamp;

use super::Verifier;
use super::algorithm::{DSIG_NAMESPACE, DigestAlgorithm};
use super::c14n::{Canonicaliser, Method};
use super::fault::{FaultKind, ListFault};
use super::scope::{Scope, Tag};
use super::tree::{Inherited, Tree};
use super::walk::{Child, Seen, Walk};
use super::xml::XmlFault;
use super::xmldsig::{CheckedSignature, DataReference, Target};

/// What a first look at a list found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanSummary {
    /// Number of records.
    pub records: u64,
    /// Number of Signature elements directly below the root.
    pub signatures: u64,
    /// Size of the document, in bytes.
    pub bytes: u64,
}

/// A list whose own signature verifies; whether to believe the signer is for `trust`.
#[derive(Debug, Clone)]
pub struct VerifiedList {
    /// Number of records.
    pub records: u64,
    /// SigningTime.
    pub signing_time: Timestamp,
    /// The signing organisation's certificate, DER.
    pub certificate: Vec<u8>,
    /// Further certificates of KeyInfo, DER.
    pub chain: Vec<Vec<u8>>,
    /// X509SubjectName as written.
    pub subject_name: String,
}

/// One record as it stands in a list.
#[derive(Debug, Clone)]
pub struct RecordSlice {
    /// Place in the list, from 0.
    pub index: u64,
    /// Line of its start tag in the list, from 1.
    pub line: u64,
    /// Byte of its start tag in the list, from 0.
    pub offset: u64,
    /// The element as received.
    pub bytes: Vec<u8>,
    /// What it inherits from the root of the list; for [`Verifier::verify_record`].
    pub inherited: Arc<Inherited>,
}

impl Verifier {
    /// Read a whole list once, refusing a document that breaks a rule of the firewall or has another shape.
    pub fn scan<R: BufRead>(&self, source: R) -> Result<ScanSummary, XmlFault> {
        let mut walk = Walk::new(self, source);
        let mut summary = ScanSummary { records: 0, signatures: 0, bytes: 0 };
        loop {
            match walk.next()? {
                Seen::Start(_, Some(Child::Record)) => summary.records += 1,
                Seen::Start(_, Some(Child::Signature)) => summary.signatures += 1,
                Seen::Start(_, None) | Seen::Text(_) | Seen::End => {}
                Seen::Eof => break,
            }
        }
        summary.bytes = walk.reader.offset();
        Ok(summary)
    }

    /// Verify the signature of a list over itself; `open` gives the document from its start each time.
    ///
    /// Memory does not grow with the list: it is canonicalised and digested as it is read, a second
    /// time only when the signature uses another method than SHA-256 over Canonical XML 1.0.
    pub fn verify_list<R: BufRead>(
        &self,
        open: impl Fn() -> io::Result<R>,
    ) -> Result<VerifiedList, ListFault> {
        let usual = (Method::inclusive(), DigestAlgorithm::Sha256);
        let pass = self.digest_list(open()?, &usual.0, usual.1)?;
        let signature = pass.signature.ok_or(ListFault::Signature(FaultKind::SignatureMissing))?;
        let checked = self
            .check_list(&signature, pass.root_id.as_deref(), &pass.inherited)
            .map_err(ListFault::Signature)?;
        let DataReference { method, digest, value } = &checked.data;
        let found = if (method, *digest) == (&usual.0, usual.1) {
            pass.digest
        } else {
            self.digest_list(open()?, method, *digest)?.digest
        };
        if found != *value {
            return Err(ListFault::Signature(FaultKind::DataDigest));
        }
        Ok(VerifiedList {
            records: pass.records,
            signing_time: checked.signing_time,
            certificate: checked.key.der().to_vec(),
            chain: checked.chain,
            subject_name: checked.subject_name,
        })
    }

    /// Cut a list into its records, one at a time.
    pub fn records<R: BufRead>(&self, source: R) -> Records<'_, R> {
        Records {
            walk: Walk::new(self, source),
            bytes_max: self.settings.xml.record_bytes_max,
            inherited: Arc::default(),
            next: 0,
            done: false,
        }
    }

    fn check_list(
        &self,
        tree: &Tree,
        root_id: Option<&str>,
        inherited: &Inherited,
    ) -> Result<CheckedSignature, FaultKind> {
        let signature = tree.root().ok_or(FaultKind::SignatureMissing)?;
        let mut ids: HashSet<&str> = root_id.into_iter().collect();
        for element in tree.elements() {
            if !self.ids_of(&element.tag()).all(|id| ids.insert(id)) {
                return Err(FaultKind::DuplicateId);
            }
            if element.is(DSIG_NAMESPACE, "Signature") && element != signature {
                return Err(FaultKind::SignatureMisplaced);
            }
        }
        let target = Target { id: root_id, enveloped: true };
        self.check_signature(signature, target, inherited)
    }

    // Digest the list without its own signature, which is kept.
    fn digest_list<R: BufRead>(
        &self,
        source: R,
        method: &Method,
        algorithm: DigestAlgorithm,
    ) -> Result<ListPass, ListFault> {
        let mut walk = Walk::new(self, source);
        let mut pass = ListPass::default();
        let mut hash = Buffered::new(algorithm);
        let write = |bytes: &[u8]| hash.write(bytes);
        let mut writer = Canonicaliser::new(method.clone(), Scope::default(), Vec::new(), write);
        let mut signature: Option<Tree> = None;
        let mut signature_depth = 0;
        loop {
            let depth = walk.reader.depth();
            match walk.next()? {
                Seen::Start(tag, Some(Child::Signature)) => {
                    if pass.signature.is_some() {
                        return Err(ListFault::Signature(FaultKind::SignatureRepeated));
                    }
                    let mut tree = Tree::default();
                    tree.start(&tag);
                    signature = Some(tree);
                    signature_depth = depth;
                }
                Seen::Start(tag, child) => {
                    if depth == 0 {
                        pass.root_id = self.ids_of(&tag).next().map(str::to_owned);
                        pass.inherited = Inherited::from_root(&tag);
                    } else if self.ids_of(&tag).any(|id| Some(id) == pass.root_id.as_deref()) {
                        return Err(ListFault::Signature(FaultKind::DuplicateId));
                    }
                    pass.records += u64::from(child.is_some());
                    match &mut signature {
                        Some(tree) => tree.start(&tag),
                        None => writer.start(&tag),
                    }
                }
                Seen::Text(text) => match &mut signature {
                    Some(tree) => tree.text(text),
                    None => writer.text(text),
                },
                Seen::End => match signature.take() {
                    Some(mut tree) => {
                        tree.end();
                        if walk.reader.depth() == signature_depth {
                            pass.signature = Some(tree);
                        } else {
                            signature = Some(tree);
                        }
                    }
                    None => writer.end(),
                },
                Seen::Eof => break,
            }
        }
        drop(writer);
        pass.digest = hash.finish();
        Ok(pass)
    }

    fn ids_of<'t>(&self, tag: &Tag<'t>) -> impl Iterator<Item = &'t str> {
        tag.attributes()
            .filter(|attribute| self.profile.is_id_attribute(attribute.name))
            .map(|attribute| attribute.value)
    }
}

#[derive(Default)]
struct ListPass {
    records: u64,
    root_id: Option<String>,
    inherited: Inherited,
    signature: Option<Tree>,
    digest: Vec<u8>,
}

// Collects the canonicaliser's many small writes, because a digest is slow on few bytes.
struct Buffered {
    context: digest::Context,
    buffer: Vec<u8>,
}

const BUFFER_BYTES: usize = 16 * 1024;

impl Buffered {
    fn new(algorithm: DigestAlgorithm) -> Self {
        Self {
            context: digest::Context::new(algorithm.implementation()),
            buffer: Vec::with_capacity(BUFFER_BYTES),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.context.update(&self.buffer);
            self.buffer.clear();
        }
        if bytes.len() > BUFFER_BYTES {
            self.context.update(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.context.update(&self.buffer);
        self.context.finish().as_ref().to_vec()
    }
}

/// The records of a list, in order; ends after the first fault.
pub struct Records<'v, R: BufRead> {
    walk: Walk<'v, R>,
    bytes_max: usize,
    inherited: Arc<Inherited>,
    next: u64,
    done: bool,
}

impl<R: BufRead> Records<'_, R> {
    fn read(&mut self) -> Result<Option<RecordSlice>, XmlFault> {
        loop {
            let depth = self.walk.reader.depth();
            match self.walk.next()? {
                Seen::Start(_, Some(Child::Record)) => break,
                Seen::Start(tag, _) if depth == 0 => {
                    self.inherited = Arc::new(Inherited::from_root(&tag));
                }
                Seen::Start(..) | Seen::Text(_) | Seen::End => {}
                Seen::Eof => return Ok(None),
            }
        }
        let (line, offset) = self.walk.reader.event_place();
        self.walk.reader.hold(self.bytes_max);
        loop {
            let ended = matches!(self.walk.next()?, Seen::End);
            if ended && self.walk.reader.depth() == 1 {
                break;
            }
        }
        let index = self.next;
        self.next += 1;
        Ok(Some(RecordSlice {
            index,
            line,
            offset,
            bytes: self.walk.reader.release(),
            inherited: Arc::clone(&self.inherited),
        }))
    }
}

impl<R: BufRead> Iterator for Records<'_, R> {
    type Item = Result<RecordSlice, XmlFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let found = self.read().transpose();
        self.done = !matches!(found, Some(Ok(_)));
        found
    }
}
