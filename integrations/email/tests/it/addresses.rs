//! Whatever counts as an address can be written to: the value type and the library that sends emails agree.

use kernel::{Email, Name};
use lettre::Address;
use lettre::message::Mailbox;
use proptest::prelude::*;

/// Texts that are addresses, nearly, or by far not.
fn texts() -> impl Strategy<Value = String> {
    let local = prop_oneof![
        r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,66}",
        r"[a-z.@ ,:;<>()\\\[\]]{0,8}",
        r"[\PC\p{L}\p{M}]{1,12}",
        any::<String>(),
    ];
    let domain = prop_oneof![
        r"[a-zA-Z0-9-]{1,65}(\.[a-zA-Z0-9-]{1,10}){0,4}",
        r"[\p{L}\p{N}-]{1,8}\.[\p{L}]{1,6}",
        r"xn--[a-z0-9-]{1,8}\.[a-z]{2,4}",
        r"\[?[0-9.:]{1,16}\]?",
        any::<String>(),
    ];
    (local, domain).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn what_is_taken_as_an_address_in_ascii_is_one_for_the_library_too(text in texts()) {
        let Ok(email) = text.parse::<Email>() else { return Ok(()) };
        if email.as_str().is_ascii() {
            let address: Address = email.as_str().parse().map_err(failed)?;
            prop_assert_eq!(address.to_string(), email.as_str(), "it goes where it says");
        }
        let again: Email = email.as_str().parse().map_err(|wrong: kernel::InvalidValue| failed(wrong.message))?;
        prop_assert_eq!(again, email, "one spelling");
    }

    #[test]
    fn whatever_somebody_is_called_the_email_goes_to_one_address(name in any::<String>(), text in texts()) {
        let (Ok(name), Ok(email)) = (name.parse::<Name>(), text.parse::<Email>()) else { return Ok(()) };
        let from: Mailbox = "no-reply@ubos.example".parse().map_err(failed)?;
        let message = email::addressed(&from, name.as_str(), &email).map_err(failed)?;
        let message = message.subject(name.as_str()).body(String::new()).map_err(failed)?;
        let to: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
        prop_assert_eq!(to, [email.as_str()], "it goes where it says");
        let written = String::from_utf8_lossy(&message.formatted()).into_owned();
        let heads = written.split("\r\n").filter(|line| !line.starts_with([' ', '\t']) && line.contains(": ")).count();
        prop_assert!(heads <= 8, "a name adds no header: {written}");
    }
}
