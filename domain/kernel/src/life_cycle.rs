//! Life cycles that many aggregates share: what can be archived, what can be retired, what is found by a key.
//!
//! Each is a small value of an aggregate's state and of its row, so that asking twice, coming back and what a list leaves out
//! are decided once.

use crate::status::{Machine, Status, StatusEntry};
use crate::{Aggregate, Claim, Context, Event, Reference, Slug};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

/// Events of something that goes and comes back, of which [`Archivable`] or [`Retirable`] is made. `kernel::archivable!` and
/// `kernel::retirable!` write it.
pub trait Leaves<Cycle>: Event {
    /// The event types of which one begins its life.
    const BEGINS: &'static [&'static str];

    /// The event by which it goes.
    fn gone() -> Self;

    /// The event by which it comes back.
    fn back() -> Self;

    /// Does it go by this event (`true`), or come back?
    fn leaves(&self) -> Option<bool>;
}

macro_rules! life_cycles {
    ($($(#[$doc:meta])* $name:ident: $here:expr, $gone:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// In JSON it is `true` or `false`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(bool);

        impl $name {
            fn go<E: Leaves<Self>>(self) -> Vec<E> {
                if self.0 { vec![] } else { vec![E::gone()] }
            }

            fn come_back<E: Leaves<Self>>(self) -> Vec<E> {
                if self.0 { vec![E::back()] } else { vec![] }
            }
        }

        impl Status for $name {
            const ALL: &'static [Self] = &[Self(false), Self(true)];

            fn entry(self) -> &'static StatusEntry {
                const ENTRIES: [StatusEntry; 2] = [$here, $gone];
                &ENTRIES[usize::from(self.0)]
            }
        }

        impl<E: Leaves<Self>> Machine<E> for $name {
            const BEGINS: &'static [&'static str] = E::BEGINS;

            fn after(self, event: &E) -> Self {
                event.leaves().map_or(self, Self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "boolean" })
            }
        }
    )*};
}

life_cycles! {
    /// Whether something was taken out of every list. Nothing is deleted, and it can be put back. It stands beside a status and is
    /// none itself, so that what was archived still says how it ended.
    Archivable: StatusEntry { name: "listed", summary: "In the lists." },
        StatusEntry { name: "archived", summary: "Taken out of every list; nothing is deleted." };
    /// Whether something is no longer made use of. What was made from it stays, and it can be reinstated.
    Retirable: StatusEntry { name: "in_use", summary: "Can be made use of." },
        StatusEntry { name: "retired", summary: "Nothing new is made from it." };
}

impl Archivable {
    /// Was it taken out of the lists?
    pub fn is_archived(self) -> bool {
        self.0
    }

    /// What archives it; nothing if it is so already.
    pub fn archive<E: Leaves<Self>>(self) -> Vec<E> {
        self.go()
    }

    /// What puts it back; nothing if it is there.
    pub fn restore<E: Leaves<Self>>(self) -> Vec<E> {
        self.come_back()
    }
}

impl Retirable {
    /// Is nothing new made from it?
    pub fn is_retired(self) -> bool {
        self.0
    }

    /// What retires it; nothing if it is so already.
    pub fn retire<E: Leaves<Self>>(self) -> Vec<E> {
        self.go()
    }

    /// What makes it usable again; nothing if it is.
    pub fn reinstate<E: Leaves<Self>>(self) -> Vec<E> {
        self.come_back()
    }
}

/// Events with `Archived {}` and `Restored {}`, of something that begins with one of these: `archivable!(FolderEvent begins
/// "folder.created")`.
#[macro_export]
macro_rules! archivable {
    ($event:ident begins $($begins:literal),+) => {
        $crate::__leaves!($event, $crate::Archivable, Archived, Restored, $($begins),+);
    };
}

/// Events with `Retired {}` and `Reinstated {}`, of something that begins with one of these: `retirable!(EventTypeEvent begins
/// "event_type.defined")`.
#[macro_export]
macro_rules! retirable {
    ($event:ident begins $($begins:literal),+) => {
        $crate::__leaves!($event, $crate::Retirable, Retired, Reinstated, $($begins),+);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __leaves {
    ($event:ident, $cycle:ty, $gone:ident, $back:ident, $($begins:literal),+) => {
        impl $crate::Leaves<$cycle> for $event {
            const BEGINS: &'static [&'static str] = &[$($begins),+];
            fn gone() -> Self {
                Self::$gone {}
            }
            fn back() -> Self {
                Self::$back {}
            }
            fn leaves(&self) -> Option<bool> {
                match self {
                    Self::$gone {} => Some(true),
                    Self::$back {} => Some(false),
                    _ => None,
                }
            }
        }
    };
}

/// An aggregate that definitions, links and people find by a key, which is its own in the firm.
pub trait Keyed: Aggregate {
    /// The scope of the claim on the key: `files.folder_template.key`.
    const KEY: &'static str;

    /// The claim on a key.
    fn key_claim(key: &Slug) -> Claim {
        Claim::new(Self::KEY, key.as_str())
    }

    /// The one with this key, to be looked at by a decision.
    fn by_key(key: &Slug) -> Reference {
        Reference::claim::<Self>(Self::key_claim(key))
    }

    /// The one with this key, if [`Keyed::by_key`] was asked for and there is one.
    fn with_key<'c>(key: &Slug, ctx: &'c Context) -> Option<(Uuid, &'c Self)> {
        ctx.holder::<Self>(Self::KEY, key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;
    use proptest::prelude::*;

    /// What happens to a binder.
    #[event("office.binder")]
    pub enum BinderEvent {
        /// A binder was put on the shelf.
        Created {},
        /// It got another label.
        Labelled {},
        /// It went to the cellar.
        Archived {},
        /// It came back.
        Restored {},
        /// Nothing is put into it.
        Retired {},
        /// Something may be put into it.
        Reinstated {},
    }

    archivable!(BinderEvent begins "binder.created");
    retirable!(BinderEvent begins "binder.created");

    fn events() -> impl Strategy<Value = Vec<BinderEvent>> {
        use BinderEvent as E;
        let all = [E::Labelled {}, E::Archived {}, E::Restored {}, E::Retired {}, E::Reinstated {}];
        prop::collection::vec(prop::sample::select(all.to_vec()), 0..20)
    }

    proptest! {
        /// Whatever happened before: asking for it makes it so, asking again does nothing, and the two cycles do not meet.
        #[test]
        fn what_goes_is_gone_and_what_comes_back_is_there(history in events()) {
            let (mut archived, mut retired) = (Archivable::default(), Retirable::default());
            for event in &history {
                (archived, retired) = (archived.after(event), retired.after(event));
            }
            let gone = archived.archive::<BinderEvent>().iter().fold(archived, |cycle, event| cycle.after(event));
            prop_assert!(gone.is_archived() && gone.archive::<BinderEvent>().is_empty());
            let back = archived.restore::<BinderEvent>().iter().fold(archived, |cycle, event| cycle.after(event));
            prop_assert!(!back.is_archived() && back.restore::<BinderEvent>().is_empty());
            let gone = retired.retire::<BinderEvent>().iter().fold(retired, |cycle, event| cycle.after(event));
            prop_assert!(gone.is_retired() && gone.retire::<BinderEvent>().is_empty());
            let back = retired.reinstate::<BinderEvent>().iter().fold(retired, |cycle, event| cycle.after(event));
            prop_assert!(!back.is_retired() && back.reinstate::<BinderEvent>().is_empty());
            let of = |kinds: [BinderEvent; 2]| history.iter().rev().find(|event| kinds.contains(event)).cloned();
            let away = of([BinderEvent::Archived {}, BinderEvent::Restored {}]) == Some(BinderEvent::Archived {});
            prop_assert_eq!(archived.is_archived(), away);
        }
    }

    #[test]
    fn in_json_a_life_cycle_is_a_boolean() {
        let archived = Archivable::default().after(&BinderEvent::Archived {});
        assert_eq!(serde_json::to_string(&archived).unwrap(), "true");
        assert_eq!(serde_json::from_str::<Archivable>("false").unwrap(), Archivable::default());
        assert!(serde_json::from_str::<Retirable>("\"retired\"").is_err());
        assert_eq!(serde_json::to_value(crate::schema_of::<Retirable>()).unwrap()["type"], "boolean");
    }

    #[test]
    fn a_status_is_known_by_its_name() {
        assert_eq!(Archivable::named("archived").map(Archivable::is_archived), Some(true));
        assert_eq!(Archivable::named("retired"), None);
    }
}
