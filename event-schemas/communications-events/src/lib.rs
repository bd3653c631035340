//! What did happen in the communications context: the event enums other crates may read.

mod email;
mod email_template;
mod note;
mod notification;
mod notification_preferences;
mod thread;

pub use email::{EmailEvent, EmailId, EmailStatus};
pub use email_template::{EmailTemplateEvent, EmailTemplateId};
pub use note::{NoteEvent, NoteId, NoteStatus};
pub use notification::{NotificationEvent, NotificationId, NotificationStatus};
pub use notification_preferences::{NotificationPreferencesEvent, NotificationPreferencesId, Preference};
pub use thread::{MessageId, MessageStatus, ThreadEvent, ThreadKind, ThreadStatus};
