//! Keeps the ledger of a firm in step with what clients owe and what is owed to vendors.
//!
//! Whatever is issued or approved goes there once, known by its number and by the job's key; what is paid there comes back as a command.
//! Nobody here knows a ledger by name: it is a [`Ledger`] and the provider of a connection. A firm without a connection has no ledger, and
//! nothing is sent; one with connections to several has the one that was agreed to first.
//!
//! All of a firm goes through one lane of each reaction, one after the other: two that make the same party at the same moment would be
//! two parties. What the ledger does not take is noted on the record and parked, and the lane goes on without it.

mod bill;
mod book;
mod entries;
mod invoice;
mod known;
mod paid;
mod parties;
mod tell;

pub use bill::Bills;
pub use invoice::Invoices;
pub use paid::Paid;
pub use parties::Merges;

use anyhow::Result;
use entries::Entries;
use event_store::{Log, Store};
use kernel::TenantId;
use parties::Parties;
use ports::{Ledger, Place};
use providers::{Hears, Hint, Links};
use revenue::BillingSettings;
use std::sync::Arc;

/// Which accounts and words of the ledger are meant where neither a record nor the firm's billing settings name one.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What invoices are booked on.
    pub sales: String,
    /// What a line bears on which there is no tax.
    pub untaxed: Option<String>,
}

/// The ledgers of which a firm may have one. Cheap to clone.
#[derive(Clone)]
pub struct Ledgers(Arc<[Books]>);

impl Ledgers {
    /// These.
    pub fn new(books: impl IntoIterator<Item = Books>) -> Self {
        Self(books.into_iter().collect())
    }

    fn each(&self) -> impl Iterator<Item = &Books> {
        self.0.iter()
    }

    /// Whoever hears what has changed there.
    pub fn hearers(&self) -> Vec<Arc<dyn Hears>> {
        let of = |books: &Books| -> [Arc<dyn Hears>; 2] {
            [Arc::new(Paid::new(books.clone())), Arc::new(Merges(books.clone()))]
        };
        self.each().flat_map(of).collect()
    }

    /// The firm's ledger, and where it is: the one that was agreed to first, if there are several; none if it has none.
    pub(crate) async fn of(&self, tenant: TenantId) -> sqlx::Result<Option<(&Books, Place)>> {
        let Some(any) = self.0.first() else { return Ok(None) };
        let names: Vec<&str> = self.each().map(|books| books.provider).collect();
        let Some((connection, provider)) = any.links.of_firm(tenant, &names).await? else { return Ok(None) };
        let books = self.each().find(|books| books.provider == provider);
        Ok(books.map(|books| (books, Place { tenant, connection })))
    }
}

/// A ledger, and what it takes to keep it in step. Cheap to clone.
#[derive(Clone)]
pub struct Books {
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Whose connections lead there: `xero`, `quickbooks`.
    pub(crate) provider: &'static str,
    /// What hints of the provider call an entry: `invoice`.
    pub(crate) kind: &'static str,
    pub(crate) links: Links,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) chart: Chart,
}

impl Books {
    /// The ledger of firms that are connected with `provider`, whose hints call an entry `kind`. `log` and `store` connect as
    /// `ubos_worker`.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        (provider, kind): (&'static str, &'static str),
        links: Links,
        log: Log,
        store: Store,
        chart: Chart,
    ) -> Self {
        Self { ledger, provider, kind, links, log, store, chart }
    }

    /// The accounts and words as the firm has them.
    pub(crate) async fn chart(&self, tenant: TenantId) -> Result<Chart> {
        let mut chart = self.chart.clone();
        let Some(id) = self.store.holder(tenant, &BillingSettings::claim()).await? else { return Ok(chart) };
        let (settings, _) = self.store.load::<BillingSettings>(tenant, id).await?;
        if let Some(terms) = settings.terms() {
            chart.sales = terms.sales_account.as_ref().map_or(chart.sales, ToString::to_string);
            chart.untaxed = terms.untaxed_code.as_ref().map(ToString::to_string).or(chart.untaxed);
        }
        Ok(chart)
    }

    /// What was said of an entry before it was known whose it is was said to nobody: a payment may have come before the answer that got
    /// lost was looked up.
    pub(crate) async fn recall(&self, at: Place, entry_id: &str) -> sqlx::Result<()> {
        let hint = Hint { kind: self.kind.to_owned(), id: entry_id.to_owned() };
        self.links.recall(at, self.provider, &hint).await
    }

    pub(crate) fn parties(&self) -> Parties<'_> {
        Parties(self.links.pool())
    }

    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries(self.links.pool())
    }
}
