//! What the firm says to its clients and to its own people.
//!
//! A *thread* is a conversation with its *messages*, among the firm's own people or with a client. A *note* is the firm's own and
//! never seen by a client. An *email* is one that goes out, by itself or made from an *email template*. A *notification* tells one
//! user something, in the product or by email as the user's *preferences* say.

pub mod email;
pub mod email_template;
mod merge;
pub mod note;
pub mod notification;
pub mod notification_preferences;
pub mod thread;

pub use email::Email;
pub use email_template::EmailTemplate;
pub use note::Note;
pub use notification::Notification;
pub use notification_preferences::NotificationPreferences;
pub use thread::Thread;

use kernel::{Actor, Context};

/// Does somebody at a client ask?
fn is_of_a_client(ctx: &Context) -> bool {
    matches!(ctx.actor, Actor::PortalUser { .. })
}
