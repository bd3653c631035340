//! What goes wrong because somebody wants it to.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// Nothing is done; the answer has this status, and says when to come again.
    Status {
        /// 401, 403, 404, 409, 423, 429, 500, 503 …
        status: u16,
        /// Seconds in `Retry-After`.
        #[serde(default)]
        retry_after: Option<u32>,
        /// Which of its limits it was, for 429.
        #[serde(default)]
        limit: Option<String>,
        /// DocuSign's `errorCode`, Dropbox Sign's `error_name`, QuickBooks' `code`.
        #[serde(default)]
        code: Option<String>,
    },
    /// The answer comes so late.
    Slow {
        /// After so many milliseconds.
        millis: u64,
    },
    /// It is done, and the connection ends instead of an answer.
    AnswerLost,
    /// It is done, and the answer is this status nevertheless.
    DoneBut {
        /// 500, 502, 504.
        status: u16,
    },
}

/// Something that goes wrong the next times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// `xero`, `quickbooks`, `docusign`, `dropbox_sign`.
    pub provider: String,
    /// Only with this method; any if there is none.
    #[serde(default)]
    pub method: Option<String>,
    /// Only where this is a part of the path; everywhere if it is empty.
    #[serde(default)]
    pub path: String,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Once, at any request of this method to paths that hold this.
    pub fn at(provider: &str, method: &str, path: &str, what: What) -> Self {
        let method = Some(method.to_owned());
        Self { provider: provider.to_owned(), method, path: path.to_owned(), times: 1, what }
    }

    /// The same, so often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    pub(crate) fn meets(&self, provider: &str, method: &str, path: &str) -> bool {
        self.provider == provider
            && self.times > 0
            && self.method.as_ref().is_none_or(|one| one.eq_ignore_ascii_case(method))
            && path.contains(&self.path)
    }
}
