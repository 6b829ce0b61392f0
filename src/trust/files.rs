//! Reads anchors and intermediate certificates from PEM files and folders of them.

use std::path::{Path, PathBuf};

use openssl::x509::X509;

/// Say why the anchors could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds no certificate.
    #[error("{path} holds no certificate in PEM")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

/// Read every certificate that `paths` name; folders are read in order of their file names.
pub(super) fn certificates(paths: &[PathBuf]) -> Result<Vec<X509>, TrustError> {
    let mut found = Vec::new();
    for path in paths {
        let unreadable = |source| TrustError::Unreadable { path: path.clone(), source };
        if !path.is_dir() {
            found.extend(from_pem(path)?);
            continue;
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            let extension = file.extension().and_then(|name| name.to_str());
            if matches!(extension, Some("pem" | "crt")) {
                files.push(file);
            }
        }
        files.sort();
        for file in files {
            found.extend(from_pem(&file)?);
        }
    }
    Ok(found)
}

fn from_pem(path: &Path) -> Result<Vec<X509>, TrustError> {
    let pem = std::fs::read(path)
        .map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })?;
    match X509::stack_from_pem(&pem) {
        Ok(stack) if !stack.is_empty() => Ok(stack),
        _ => Err(TrustError::NoCertificate { path: path.to_owned() }),
    }
}
