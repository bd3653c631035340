//! A notification: one user is told something, in the product or by email.

use crate::NotificationPreferences;
use communications_events::{NotificationEvent as E, NotificationId, NotificationStatus as Status};
use kernel::{
    About, Aggregate, Companions, Context, Decision, Machine, Name, Personal, Reference, Resource, Scope, Slug, Text,
    UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use NotificationCommand as C;
use NotificationRejection as R;

/// Others that are marked with one.
const TOGETHER_MAX: usize = 50;

/// What may be asked of a notification.
#[command("communications.notification", !member)]
pub enum NotificationCommand {
    /// Tells a user something, as the user's preferences say.
    #[creates]
    #[refused(LinkNotAPath)]
    Send {
        /// Who.
        user_id: UserId,
        /// What kind of thing: `task_assigned`.
        kind: Slug,
        /// In one line.
        title: Name,
        /// In full.
        #[serde(default)]
        body: Option<Text>,
        /// What it is about.
        #[serde(default)]
        about: Option<About>,
        /// Where in the app it leads: a path, `/projects/…`.
        #[serde(default)]
        link: Option<Name>,
    },
    /// Notes that the user has seen it.
    MarkRead {},
    /// Notes that the user has seen it, and these with it.
    #[refused(TooManyAtOnce)]
    MarkAllRead {
        /// The others, at most 50; those that are somebody else's, or seen already, stay as they are.
        notification_ids: Vec<NotificationId>,
    },
    /// Puts it away.
    Dismiss {},
}

/// Why a notification's command may be refused.
#[rejection("communications.notification")]
pub enum NotificationRejection {
    /// A link is a path in the app and begins with one `/`.
    #[invalid("/link")]
    LinkNotAPath,
    /// At most 50 are marked with one.
    #[invalid("/notification_ids")]
    TooManyAtOnce,
}

/// What is remembered of a notification.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    user_id: Option<UserId>,
    about: Option<About>,
    status: Status,
}

impl Aggregate for Notification {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "communications/notifications";

    fn scope(&self, _id: Uuid, command: &C) -> Scope {
        match command {
            C::Send { user_id, .. } => Scope::default().owned_by([*user_id]),
            _ => Scope::default().owned_by(self.user_id),
        }
    }

    /// It concerns what it is about, and belongs to nobody but whoever is told.
    fn concerns(&self, _id: Uuid, _event: &E) -> Vec<Resource> {
        self.about.and_then(|about| about.resource()).into_iter().collect()
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Send { user_id, .. } => vec![NotificationPreferences::of(*user_id)],
            C::MarkAllRead { notification_ids } => {
                notification_ids.iter().take(TOGETHER_MAX).map(|id| Reference::id::<Self>(*id)).collect()
            }
            _ => vec![],
        }
    }

    fn companions(&self, command: &C, ctx: &Context, companions: &mut impl Companions) {
        let C::MarkAllRead { notification_ids } = command else { return };
        let mut seen = vec![ctx.id];
        for id in notification_ids {
            let other = ctx.referenced::<Self>(*id);
            let is_unread = other.is_some_and(|other| other.user_id == self.user_id && other.status == Status::Unread);
            if is_unread && !seen.contains(&id.0) {
                seen.push(id.0);
                companions.add::<Self>(*id, C::MarkRead {});
            }
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Send { link: Some(link), .. } if !is_path(&link) => return Err(R::LinkNotAPath),
            C::Send { user_id, kind, title, body, about, link } => {
                let (in_product, by_email) = NotificationPreferences::ways(user_id, &kind, ctx);
                let (title, body) = (title.into(), body.map(Personal::new));
                vec![E::Sent { user_id, kind, title, body, about, link, in_product, by_email }]
            }
            C::MarkAllRead { notification_ids } if notification_ids.len() > TOGETHER_MAX => {
                return Err(R::TooManyAtOnce);
            }
            C::MarkRead {} | C::MarkAllRead { .. } if self.status == Status::Unread => vec![E::Read {}],
            C::MarkRead {} | C::MarkAllRead { .. } => vec![],
            C::Dismiss {} if self.status == Status::Dismissed => vec![],
            C::Dismiss {} => vec![E::Dismissed {}],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Sent { user_id, about, .. } => (self.user_id, self.about) = (Some(*user_id), *about),
            E::Read {} | E::Dismissed {} => {}
        }
    }
}

/// Two slashes, or a backslash, would lead to another host.
fn is_path(link: &Name) -> bool {
    let link = link.as_str();
    link.starts_with('/') && !link.starts_with("//") && !link.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use communications_events::{NotificationPreferencesEvent, Preference};
    use kernel::spec::given;

    fn ada() -> UserId {
        UserId(Uuid::from_u128(2))
    }

    fn send(link: Option<&str>) -> C {
        C::Send {
            user_id: ada(),
            kind: "task_assigned".parse().unwrap(),
            title: "A task is yours".parse().unwrap(),
            body: None,
            about: None,
            link: link.map(|link| link.parse().unwrap()),
        }
    }

    fn sent(user_id: UserId, in_product: bool, by_email: bool) -> E {
        let (kind, title) = ("task_assigned".parse().unwrap(), Personal::new("A task is yours".parse().unwrap()));
        E::Sent { user_id, kind, title, body: None, about: None, link: None, in_product, by_email }
    }

    #[test]
    fn somebody_is_told_in_the_product_unless_they_want_it_otherwise() {
        given::<Notification>([]).when(send(None)).then([sent(ada(), true, false)]);
        let mut preferences = NotificationPreferences::default();
        let preference = Preference { kind: "default".parse().unwrap(), in_product: false, by_email: true };
        preferences.apply(&NotificationPreferencesEvent::Set { user_id: ada(), preferences: vec![preference] });
        let known = |preferences: &NotificationPreferences| {
            let of = NotificationPreferences::of(ada());
            given::<Notification>([]).knowing(of, Uuid::nil(), preferences.clone())
        };
        known(&preferences).when(send(None)).then([sent(ada(), false, true)]);
        let preference = Preference { kind: "task_assigned".parse().unwrap(), in_product: false, by_email: false };
        preferences.apply(&NotificationPreferencesEvent::Changed { preference });
        known(&preferences).when(send(None)).then([sent(ada(), false, false)]);
    }

    #[test]
    fn a_link_leads_into_the_app_and_nowhere_else() {
        for wrong in ["https://evil.example", "//evil.example", "projects", "/\\evil.example"] {
            let refused = given::<Notification>([]).when(send(Some(wrong)));
            refused.rejected("communications.notification.link_not_a_path");
        }
        assert_eq!(given::<Notification>([]).when(send(Some("/projects/1"))).events().len(), 1);
    }

    #[test]
    fn what_was_seen_is_seen_once_and_put_away_once() {
        let has = |events: &[E]| given::<Notification>([&[sent(ada(), true, false)], events].concat());
        has(&[]).when(C::MarkRead {}).then([E::Read {}]);
        has(&[E::Read {}]).when(C::MarkRead {}).then_nothing();
        has(&[E::Read {}]).when(C::Dismiss {}).then([E::Dismissed {}]);
        has(&[E::Dismissed {}]).when(C::Dismiss {}).then_nothing();
        has(&[E::Dismissed {}]).when(C::MarkRead {}).then_nothing();
    }

    #[test]
    fn others_of_the_same_user_are_marked_with_it() {
        let other = |user: u128| {
            let mut other = Notification::default();
            other.apply(&sent(UserId(Uuid::from_u128(user)), true, false));
            other
        };
        let ids = [20, 21, 22].map(|n| NotificationId(Uuid::from_u128(n)));
        let all = C::MarkAllRead { notification_ids: ids.to_vec() };
        let when = given::<Notification>([sent(ada(), true, false)])
            .knowing(Reference::id::<Notification>(ids[0]), ids[0], other(2))
            .knowing(Reference::id::<Notification>(ids[1]), ids[1], other(3))
            .when(all);
        when.then([E::Read {}]).together_with::<Notification>(ids[0], C::MarkRead {});
        let many = C::MarkAllRead { notification_ids: vec![ids[0]; 51] };
        let refused = given::<Notification>([sent(ada(), true, false)]).when(many);
        refused.rejected("communications.notification.too_many_at_once");
    }
}
