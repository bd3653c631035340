//! What is shown at a door, how it is asked whom that lets in, and what is noted of it. No HTTP: the two APIs, the event
//! gateway and the mailer agree here on how keys and links look.

mod api_key;
mod by_firm;
mod directory;
pub mod magic_link;
mod said;
mod trail;

pub use api_key::ShownKey;
pub use directory::{Credential, Directory, NoDirectory, Standing};
pub use said::{may_say, network, shortened};
pub use trail::{KeysInUse, Noted, Refusal, Refusals, Who};
