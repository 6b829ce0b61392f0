//! Makes the development certificates in a folder.

use super::args::PkiArgs;
use crate::platform::clock::SystemClock;
use crate::platform::texts::{Lang, text};
use crate::synthetic::pki::Pki;

/// Make the PKI and list its files on standard output.
pub fn run(args: &PkiArgs, lang: Lang) -> anyhow::Result<()> {
    let layout = Pki::create(&args.dir, &args.provinces, &SystemClock)?;
    for entry in layout.entries() {
        put!("{}\t{}\t{}", entry.id, layout.certificate_path(entry).display(), entry.sha256);
    }
    eprintln!("{}", text(lang, "cli.pki-done", &[]));
    Ok(())
}
