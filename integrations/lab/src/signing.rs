//! Somebody signs or does not, whoever collects the signatures.

use crate::state::Lab;
use crate::{docusign, dropbox_sign};

impl Lab {
    /// A recipient signs, or will not, whoever collects the signatures.
    ///
    /// # Errors
    /// If it is not their turn, or the envelope is closed.
    pub fn sign(&self, envelope_id: &str, recipient_id: &str, declined_because: Option<&str>) -> Result<(), String> {
        if dropbox_sign::knows(self, envelope_id) {
            return self.sign_request(envelope_id, recipient_id, declined_because);
        }
        self.sign_envelope(envelope_id, recipient_id, declined_because)
    }

    /// An envelope is not signed in time.
    pub fn expire(&self, envelope_id: &str) {
        if dropbox_sign::knows(self, envelope_id) {
            return self.expire_request(envelope_id);
        }
        docusign::void(self, envelope_id, "Envelope has expired.");
    }
}
