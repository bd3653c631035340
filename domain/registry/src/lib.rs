//! Every aggregate of every context, mounted once.
//!
//! Command-api makes routes of it, the workflow engine calls commands by name through it, the reference lists it. A new
//! aggregate is one line here.

mod members;

use kernel::Mounts;
pub use members::{member_patterns, member_source};

/// Mounts every aggregate.
pub fn mount_all(mounts: &mut impl Mounts) {
    mounts.mount::<agreements::Template>();
    mounts.mount::<agreements::Proposal>();
    mounts.mount::<agreements::Contract>();
    mounts.mount::<communications::Thread>();
    mounts.mount::<communications::Note>();
    mounts.mount::<communications::EmailTemplate>();
    mounts.mount::<communications::Email>();
    mounts.mount::<communications::Notification>();
    mounts.mount::<communications::NotificationPreferences>();
    mounts.mount::<crm::Client>();
    mounts.mount::<crm::Contact>();
    mounts.mount::<crm::Pipeline>();
    mounts.mount::<crm::Deal>();
    mounts.mount::<crm::Engagement>();
    mounts.mount::<identity::Tenant>();
    mounts.mount::<identity::User>();
    mounts.mount::<identity::CustomRole>();
    mounts.mount::<identity::Team>();
    mounts.mount::<identity::ServiceAccount>();
    mounts.mount::<identity::ApiKey>();
    mounts.mount::<identity::Subscriber>();
    mounts.mount::<identity::Session>();
    mounts.mount::<identity::Erasure>();
    mounts.mount::<portal::PortalUser>();
    mounts.mount::<portal::PortalSession>();
    mounts.mount::<portal::ClientTask>();
    mounts.mount::<portal::ClientApproval>();
    mounts.mount::<files::FolderTemplate>();
    mounts.mount::<files::Folder>();
    mounts.mount::<files::File>();
    mounts.mount::<files::FileRequest>();
    mounts.mount::<scheduling::EventType>();
    mounts.mount::<scheduling::Availability>();
    mounts.mount::<scheduling::Appointment>();
    mounts.mount::<projects::ProjectTemplate>();
    mounts.mount::<projects::Project>();
    mounts.mount::<revenue::BillingSettings>();
    mounts.mount::<revenue::BillingProfile>();
    mounts.mount::<revenue::TaxRate>();
    mounts.mount::<revenue::InvoiceSeries>();
    mounts.mount::<revenue::InvoicePlan>();
    mounts.mount::<revenue::Invoice>();
    mounts.mount::<revenue::Payment>();
    mounts.mount::<revenue::CreditNote>();
    mounts.mount::<revenue::Vendor>();
    mounts.mount::<revenue::Bill>();
    mounts.mount::<revenue::BillFile>();
    mounts.mount::<revenue::ApprovalPolicy>();
    mounts.mount::<revenue::PayablesSettings>();
    mounts.mount::<timeline::FollowUp>();
    mounts.mount::<timeline::Comment>();
    mounts.mount::<timeline::Pin>();
    mounts.mount::<projects::TimeEntry>();
    mounts.mount::<connections::Connection>();
    mounts.mount::<connections::ApiCall>();
    mounts.mount::<connections::WebhookEndpoint>();
    mounts.mount::<workflow::Definition>();
    mounts.mount::<workflow::Run>();
}

/// The scopes of claims whose values are personal data: addresses, logins, and where somebody is the first to ask.
pub const PERSONAL_CLAIMS: [&str; 8] = [
    "crm.client.email",
    "crm.client.primary_contact",
    "crm.contact.email",
    "identity.user.email",
    "identity.user.login",
    "portal.portal_user.email",
    "revenue.vendor.vat_id",
    "workflow.run.correlation",
];

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Aggregate, Event};
    use std::collections::BTreeSet;

    #[test]
    fn every_aggregate_has_its_events_in_the_catalogue_and_no_events_are_decided_by_nobody() {
        struct Streams(BTreeSet<&'static str>);
        impl Mounts for Streams {
            fn mount<A: Aggregate>(&mut self) {
                assert!(self.0.insert(A::Event::STREAM), "{} is mounted twice", A::Event::STREAM);
            }
        }
        let mut mounted = Streams(BTreeSet::new());
        mount_all(&mut mounted);
        let catalogued: BTreeSet<&str> = catalogue::entries().map(|entry| entry.stream).collect();
        let only = |one: &BTreeSet<&'static str>, other: &BTreeSet<&str>| -> Vec<&str> {
            one.iter().copied().filter(|stream| !other.contains(stream)).collect()
        };
        assert_eq!(only(&mounted.0, &catalogued), [""; 0], "add them to `any_event!` in the catalogue");
        assert_eq!(only(&catalogued, &mounted.0), [""; 0], "add them to `mount_all` in the registry");
    }
}
