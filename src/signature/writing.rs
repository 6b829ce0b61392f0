//! Makes signed records, lists and sealed elements by writing canonical octets directly.

use std::io::Write;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::algorithm::{Canonicalisation, DSIG_NAMESPACE, DigestAlgorithm, ENVELOPED_TRANSFORM};
use super::certificate::SignerKey;
use super::profile::Profile;
use super::{SignError, Signer};

const VIETNAM: Offset = jiff::tz::offset(7);

/// A signer with everything of its signatures that never changes, prepared once.
#[derive(Clone)]
pub struct XmlSigner {
    signer: Arc<dyn Signer>,
    key_info: String,
    method: &'static str,
}

impl XmlSigner {
    /// Prepare `signer`; its chain goes into KeyInfo when `with_chain`.
    pub fn new(signer: Arc<dyn Signer>, with_chain: bool) -> Result<Self, SignError> {
        let key =
            SignerKey::from_der(signer.certificate_der()).map_err(|_| SignError::Certificate)?;
        let mut key_info = String::from("<KeyInfo><X509Data><X509SubjectName>");
        push_escaped(&mut key_info, key.subject());
        key_info.push_str("</X509SubjectName>");
        let chain = if with_chain { signer.chain_der() } else { &[] };
        let own = std::iter::once(signer.certificate_der());
        for certificate in own.chain(chain.iter().map(Vec::as_slice)) {
            key_info.push_str("<X509Certificate>");
            STANDARD.encode_string(certificate, &mut key_info);
            key_info.push_str("</X509Certificate>");
        }
        key_info.push_str("</X509Data></KeyInfo>");
        let method = signer.algorithm().xml_method().uri();
        Ok(Self { signer, key_info, method })
    }

    /// Return the signer.
    pub fn signer(&self) -> &Arc<dyn Signer> {
        &self.signer
    }

    // Append `<Signature>` over data with digest `data` named by `uri`, and over its own SigningTime.
    fn append_signature(
        &self,
        out: &mut String,
        id: &str,
        uri: &str,
        data: &[u8],
        enveloped: bool,
        at: Timestamp,
    ) -> Result<(), SignError> {
        let time = vietnam_time(at);
        let properties = format!(
            "<SignatureProperties><SignatureProperty Target=\"#{id}\"><SigningTime>{time}</SigningTime>\
             </SignatureProperty></SignatureProperties></Object>"
        );
        let object = format!("<Object xmlns=\"{DSIG_NAMESPACE}\" Id=\"{id}-time\">{properties}");
        let time_digest = DigestAlgorithm::Sha256.digest(object.as_bytes());
        let mut info = String::with_capacity(1400);
        let c14n = Canonicalisation::Inclusive.uri();
        info.push_str(&format!(
            "<CanonicalizationMethod Algorithm=\"{c14n}\"></CanonicalizationMethod>\
             <SignatureMethod Algorithm=\"{}\"></SignatureMethod>",
            self.method
        ));
        push_reference(&mut info, uri, enveloped, data);
        push_reference(&mut info, &format!("#{id}-time"), false, time_digest.as_ref());
        info.push_str("</SignedInfo>");
        // What is signed declares the namespace, which in the document stands on Signature.
        let signed = format!("<SignedInfo xmlns=\"{DSIG_NAMESPACE}\">{info}");
        let value = self.signer.sign(signed.as_bytes())?;
        out.push_str(&format!("<Signature xmlns=\"{DSIG_NAMESPACE}\" Id=\"{id}\"><SignedInfo>"));
        out.push_str(&info);
        out.push_str("<SignatureValue>");
        STANDARD.encode_string(value, out);
        out.push_str("</SignatureValue>");
        out.push_str(&self.key_info);
        out.push_str(&format!("<Object Id=\"{id}-time\">{properties}</Signature>"));
        Ok(())
    }
}

fn push_reference(out: &mut String, uri: &str, enveloped: bool, digest: &[u8]) {
    out.push_str(&format!("<Reference URI=\"{uri}\"><Transforms>"));
    if enveloped {
        out.push_str(&format!("<Transform Algorithm=\"{ENVELOPED_TRANSFORM}\"></Transform>"));
    }
    out.push_str(&format!(
        "<Transform Algorithm=\"{}\"></Transform></Transforms>\
         <DigestMethod Algorithm=\"{}\"></DigestMethod><DigestValue>",
        Canonicalisation::Inclusive.uri(),
        DigestAlgorithm::Sha256.uri()
    ));
    STANDARD.encode_string(digest, out);
    out.push_str("</DigestValue></Reference>");
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

/// Write `at` as `YYYY-MM-DDThh:mm:ss+07:00`.
pub fn vietnam_time(at: Timestamp) -> String {
    let zoned = at.to_zoned(TimeZone::fixed(VIETNAM));
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// One signer of a record that is being made.
pub struct RecordSigner<'a> {
    /// Tag of the block (`CBQL`).
    pub role: &'a str,
    /// Day of signing for the block, as it is to be written.
    pub signed_on: Option<&'a str>,
    /// Personal number for the block.
    pub personal_number: Option<&'a str>,
    /// Who signs.
    pub signer: &'a XmlSigner,
    /// SigningTime.
    pub at: Timestamp,
}

/// Append a whole signed record to `out`, in canonical form.
///
/// `data` is the canonical data region whose id attribute has the value `data_id`; `id` must be unique
/// in the list, because the ids of the signatures are made from it.
pub fn sign_record(
    profile: &Profile,
    id: &str,
    data: &[u8],
    data_id: &str,
    signers: &[RecordSigner<'_>],
    out: &mut Vec<u8>,
) -> Result<(), SignError> {
    let digest = DigestAlgorithm::Sha256.digest(data);
    let uri = format!("#{data_id}");
    let mut tail = String::with_capacity(4096 * signers.len() + 256);
    tail.push_str(&format!("<{}>", profile.signers_list));
    for signer in signers {
        tail.push_str(&format!("<{}>", signer.role));
        let fields = [
            (&profile.signed_on_tag, signer.signed_on),
            (&profile.personal_number_tag, signer.personal_number),
        ];
        for (tag, value) in fields {
            if let Some(value) = value {
                tail.push_str(&format!("<{tag}>"));
                push_escaped(&mut tail, value);
                tail.push_str(&format!("</{tag}>"));
            }
        }
        let signature_id = format!("{id}-{}", signer.role);
        signer.signer.append_signature(
            &mut tail,
            &signature_id,
            &uri,
            digest.as_ref(),
            false,
            signer.at,
        )?;
        tail.push_str(&format!("</{}>", signer.role));
    }
    tail.push_str(&format!("</{}></{}>", profile.signers_list, profile.record_root));
    out.reserve(data.len() + tail.len() + 64);
    out.extend_from_slice(format!("<{}>", profile.record_root).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(tail.as_bytes());
    Ok(())
}

/// Return `element` (canonical, its id attribute having the value `id`) with a signature as last child.
pub fn seal_element(
    element: &[u8],
    id: &str,
    signer: &XmlSigner,
    at: Timestamp,
) -> Result<Vec<u8>, SignError> {
    let end = element
        .windows(2)
        .rposition(|pair| pair == b"</")
        .ok_or(SignError::Shape("the element has no end tag"))?;
    let digest = DigestAlgorithm::Sha256.digest(element);
    let mut signature = String::with_capacity(4096);
    let (signature_id, uri) = (format!("{id}-sig"), format!("#{id}"));
    signer.append_signature(&mut signature, &signature_id, &uri, digest.as_ref(), true, at)?;
    let mut out = Vec::with_capacity(element.len() + signature.len());
    out.extend_from_slice(&element[..end]);
    out.extend_from_slice(signature.as_bytes());
    out.extend_from_slice(&element[end..]);
    Ok(out)
}

/// Writes a signed list record by record; the signature comes last, memory does not grow.
pub struct ListWriter<W: Write> {
    out: W,
    context: digest::Context,
    root: String,
    id: String,
    id_attribute: String,
}

impl<W: Write> ListWriter<W> {
    /// Begin a list whose id is `id` (`dataDanhSach`).
    pub fn begin(out: W, profile: &Profile, id: &str) -> Result<Self, SignError> {
        let attributes = &profile.id_attributes;
        // The Ministry's sample writes the id of the list in lower case.
        let lower = attributes.iter().find(|name| *name == "id");
        let id_attribute = lower.or(attributes.first());
        let mut writer = Self {
            out,
            context: digest::Context::new(&digest::SHA256),
            root: profile.list_root.clone(),
            id: id.to_owned(),
            id_attribute: id_attribute
                .ok_or(SignError::Shape("the profile has no id attribute"))?
                .clone(),
        };
        let start = format!("<{} {}=\"{}\">", writer.root, writer.id_attribute, writer.id);
        writer.record(start.as_bytes())?;
        Ok(writer)
    }

    /// Add a record in canonical form, as [`sign_record`] makes it.
    pub fn record(&mut self, record: &[u8]) -> Result<(), SignError> {
        self.context.update(record);
        self.out.write_all(record)?;
        Ok(())
    }

    /// Sign the list and give the output back.
    pub fn finish(mut self, signer: &XmlSigner, at: Timestamp) -> Result<W, SignError> {
        let end = format!("</{}>", self.root);
        self.context.update(end.as_bytes());
        let digest = self.context.finish();
        let mut tail = String::with_capacity(4096);
        let (id, uri) = (format!("{}-sig", self.id), format!("#{}", self.id));
        signer.append_signature(&mut tail, &id, &uri, digest.as_ref(), true, at)?;
        tail.push_str(&end);
        self.out.write_all(tail.as_bytes())?;
        Ok(self.out)
    }
}
