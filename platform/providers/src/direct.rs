//! Calls to a provider's own API that a firm asks for itself.

use crate::{Access, Answer, Calls, Effect};
use futures::future::BoxFuture;
use ports::{Fault, Place};
use reqwest::Method;
use serde_json::Value;

/// A call to a provider's own API: where it goes is the connection's to say.
#[derive(Debug, Clone)]
pub struct OwnCall {
    /// What it does.
    pub method: Method,
    /// Where, below the account; what is in a step is never taken for a path.
    pub path: Vec<String>,
    /// What stands after the question mark.
    pub query: Vec<(String, String)>,
    /// What is sent along.
    pub body: Option<Value>,
}

impl OwnCall {
    /// Who asks does nothing; everything else does.
    pub fn effect(&self) -> Effect {
        if self.method == Method::GET { Effect::None } else { Effect::Some }
    }

    /// The steps of its path.
    pub fn steps(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// Its query.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl Calls {
    /// Makes a call that a firm asks for itself, where `to` says.
    ///
    /// # Errors
    /// As those of [`Calls::call`].
    pub async fn own(
        &self,
        at: Place,
        call: &OwnCall,
        to: impl Fn(&Access) -> String + Send + Sync,
    ) -> Result<Answer, Fault> {
        let build = |http: &reqwest::Client, access: &Access| {
            let request = http.request(call.method.clone(), to(access)).header("accept", "application/json");
            match &call.body {
                Some(body) => request.json(body),
                None => request,
            }
        };
        self.call(at, call.effect(), build).await
    }
}

/// A provider whose own API may be called, within the budgets of the connection.
pub trait Direct: Send + Sync + 'static {
    /// Its name: `xero`.
    fn provider(&self) -> &'static str;

    /// Does it see for itself that a key comes again? Then what nobody knows the end of is asked for once more, with its key.
    fn knows_keys(&self) -> bool;

    /// Makes a call; `key` is the same at every try.
    fn ask<'a>(&'a self, at: Place, key: &'a str, call: &'a OwnCall) -> BoxFuture<'a, Result<Answer, Fault>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_does_nothing() {
        let effect = |method| OwnCall { method, path: vec![], query: vec![], body: None }.effect();
        assert_eq!(effect(Method::GET), Effect::None);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(effect(method), Effect::Some);
        }
    }
}
