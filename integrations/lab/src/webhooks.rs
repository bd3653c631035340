//! What the providers say by themselves, in whatever mood somebody wants them.

use crate::WEBHOOK_KEY;
use crate::dropbox_words;
use crate::state::{Lab, Mood, Said};
use anyhow::Result;
use providers::sign;

impl Lab {
    /// Says something to whoever listens, now or later, once or twice.
    pub(crate) fn say(&self, provider: &str, url: Option<String>, body: String) {
        let mut outbox = self.0.outbox.lock();
        let Some(url) = url.or_else(|| outbox.urls.get(provider).cloned()) else { return };
        let mood = outbox.mood;
        *outbox.told.entry(mood).or_default() += 1;
        let times = match mood {
            Mood::Never => return,
            Mood::Held => return outbox.held.push((provider.to_owned(), url, body)),
            Mood::Once | Mood::Forged => 1,
            Mood::Twice => 2,
        };
        let key = if mood == Mood::Forged { "not the key" } else { WEBHOOK_KEY };
        drop(outbox);
        for _ in 0..times {
            let (lab, provider, url, body) = (self.clone(), provider.to_owned(), url.clone(), body.clone());
            actix_web::rt::spawn(async move {
                let sent = lab.deliver(&provider, &url, &body, key).await;
                let status = sent.unwrap_or_default();
                lab.0.said.lock().push(Said { provider, method: "WEBHOOK".to_owned(), path: url, status });
            });
        }
    }

    /// Lets go what was held back, the last first; answers what each was answered.
    ///
    /// # Errors
    /// If a receiver cannot be reached.
    pub async fn let_go(&self) -> Result<Vec<u16>> {
        let held = std::mem::take(&mut self.0.outbox.lock().held);
        let mut answers = vec![];
        for (provider, url, body) in held.into_iter().rev() {
            answers.push(self.deliver(&provider, &url, &body, WEBHOOK_KEY).await?);
        }
        Ok(answers)
    }

    /// Says this to somebody, signed with this key; answers the status that comes back.
    ///
    /// # Errors
    /// If the receiver cannot be reached.
    pub async fn deliver(&self, provider: &str, url: &str, body: &str, key: &str) -> Result<u16> {
        if provider == dropbox_words::NAME {
            return self.call_back(url, body, key).await;
        }
        let header = match provider {
            "xero" => "x-xero-signature",
            "quickbooks" => "intuit-signature",
            _ => "x-docusign-signature-1",
        };
        let call = self.0.http.post(url).header("content-type", "application/json");
        let call = call.header(header, sign(key, body.as_bytes())).body(body.to_owned());
        Ok(call.send().await?.status().as_u16())
    }
}
