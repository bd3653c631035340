//! What outlives a restart of the lab, as it does at the providers: what was agreed to, and what was done.

use crate::data::{Docusign, DropboxSign, Tokens, Xero};
use crate::quickbooks::Quickbooks;
use crate::state::Lab;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// All of it, in one file.
#[derive(Serialize, Deserialize)]
struct Memory {
    tokens: Tokens,
    xero: Xero,
    docusign: Docusign,
    #[serde(default = "Quickbooks::new")]
    quickbooks: Quickbooks,
    #[serde(default)]
    dropbox_sign: DropboxSign,
}

impl Lab {
    /// Knows again what an earlier lab kept there; nothing, if none did.
    ///
    /// # Errors
    /// If what is there cannot be read.
    pub fn remember(&self, file: &Path) -> Result<()> {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        let Memory { tokens, xero, docusign, quickbooks, dropbox_sign } = serde_json::from_slice(&text)
            .with_context(|| format!("{} is of another lab; remove it", file.display()))?;
        *self.0.tokens.lock() = tokens;
        *self.0.xero.lock() = xero;
        *self.0.docusign.lock() = docusign;
        *self.0.quickbooks.lock() = quickbooks;
        *self.0.dropbox_sign.lock() = dropbox_sign;
        Ok(())
    }

    /// Keeps what it knows there for the next one.
    ///
    /// # Errors
    /// If nothing can be written there.
    pub fn keep(&self, file: &Path) -> Result<()> {
        let (tokens, xero, docusign) = (self.0.tokens.lock(), self.0.xero.lock(), self.0.docusign.lock());
        let (tokens, xero, docusign) = (tokens.clone(), xero.clone(), docusign.clone());
        let quickbooks = self.0.quickbooks.lock().clone();
        let memory = Memory { tokens, xero, docusign, quickbooks, dropbox_sign: self.0.dropbox_sign.lock().clone() };
        let making = file.with_extension("new");
        fs::write(&making, serde_json::to_vec(&memory)?).with_context(|| format!("writing {}", making.display()))?;
        Ok(fs::rename(&making, file)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env::temp_dir;

    #[actix_web::test]
    async fn a_lab_that_is_started_again_takes_the_grants_of_before_and_has_what_was_done() {
        let file = temp_dir().join(format!("ubos-lab-{}.json", uuid::Uuid::now_v7()));
        let before = Lab::start();
        before.remember(&file).unwrap();
        before.grant("xero");
        before.close_period("2026-06-30".parse().unwrap());
        before.keep(&file).unwrap();
        let after = Lab::start();
        after.remember(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!((after.grants("xero"), after.grants("docusign")), (1, 0));
        assert_eq!(after.0.xero.lock().closed_until, before.0.xero.lock().closed_until);
    }
}
