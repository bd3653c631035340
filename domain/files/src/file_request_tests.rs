//! Requests for files, given, when, then.

use super::*;
use chrono::TimeDelta;
use files_events::{FileEvent, FileVersionId};
use kernel::Checksum;
use kernel::spec::{Given, given, spec_time};

fn id(n: u128) -> RequestItemId {
    RequestItemId(Uuid::from_u128(n))
}

fn file(n: u128) -> FileId {
    FileId(Uuid::from_u128(n))
}

fn client() -> ClientId {
    ClientId(Uuid::from_u128(5))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn wanted(n: u128, text: &str, required: bool) -> RequestItem {
    RequestItem { id: id(n), name: name(text), description: None, required }
}

fn created(due_on: Option<Date>) -> E {
    let request_items = vec![wanted(1, "Passport", true), wanted(2, "Bank statement", true), wanted(3, "CV", false)];
    let title = name("Onboarding papers");
    let (project_id, folder_id, message) = (None, None, None);
    E::Created { title, client_id: client(), project_id, folder_id, message, due_on, request_items }
}

fn sent() -> Vec<E> {
    sent_by(None)
}

fn sent_by(due_on: Option<Date>) -> Vec<E> {
    let send = given::<FileRequest>([created(due_on)]).when(C::Send {});
    [vec![created(due_on)], send.events().to_vec()].concat()
}

fn available_of(client_id: Option<ClientId>, added: bool) -> File {
    let mut file = File::default();
    let name = "a.pdf".parse().unwrap();
    file.apply(&FileEvent::Created { name, folder_id: None, subfolder_id: None, client_id, project_id: None });
    if added {
        file.apply(&FileEvent::VersionAdded {
            version_id: FileVersionId(Uuid::from_u128(9)),
            number: 1,
            name: "a.pdf".parse().unwrap(),
            size: 1,
            content_type: "application/pdf".parse().unwrap(),
            sha256: Checksum::of(b"x"),
            folder_id: None,
            subfolder_id: None,
            client_id,
            project_id: None,
        });
    }
    file
}

fn submit(n: u128) -> C {
    C::SubmitItem { request_item_id: id(n), file_id: file(n) }
}

fn knowing(events: Vec<E>, n: u128) -> Given<FileRequest> {
    let known = available_of(Some(client()), true);
    given::<FileRequest>(events).knowing(Reference::id::<File>(file(n)), file(n), known)
}

fn after(events: Vec<E>, n: u128) -> Vec<E> {
    let more = knowing(events.clone(), n).when(submit(n)).events().to_vec();
    [events, more].concat()
}

#[test]
fn a_request_is_complete_when_all_that_is_required_was_handed_in() {
    let first = knowing(sent(), 1).when(submit(1));
    let first = first.then([E::ItemSubmitted { request_item_id: id(1), file_id: file(1) }]);
    assert_eq!(first.state().status, Status::PartiallyCompleted);
    let second = knowing(after(sent(), 1), 2).when(submit(2));
    match second.events() {
        [E::ItemSubmitted { .. }, E::Completed { files, client_id, .. }] => {
            assert_eq!(*client_id, client());
            let handed_in = |n| SubmittedFile { item_id: id(n), file_id: file(n) };
            assert_eq!(*files, [handed_in(1), handed_in(2)]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(second.state().status, Status::Completed);
}

#[test]
fn another_file_takes_the_place_of_the_one_that_was_handed_in() {
    let instead = C::SubmitItem { request_item_id: id(1), file_id: file(2) };
    let again = knowing(after(sent(), 1), 2).when(instead);
    let again = again.then([E::ItemSubmitted { request_item_id: id(1), file_id: file(2) }]);
    assert_eq!(again.state().status, Status::PartiallyCompleted);
}

#[test]
fn what_will_not_do_opens_the_request_again_and_may_be_handed_in_again() {
    let complete = after(after(sent(), 1), 2);
    let reject = C::RejectItem { request_item_id: id(1), reason: "blurred".parse().unwrap() };
    let rejected = given::<FileRequest>(complete.clone()).when(reject.clone()).events().to_vec();
    assert!(matches!(rejected[..], [E::ItemRejected { .. }, E::Reopened {}]));
    let reopened = [complete.clone(), rejected].concat();
    given::<FileRequest>(reopened.clone()).when(reject).then_nothing();
    let again = knowing(reopened, 1).when(submit(1));
    assert!(matches!(again.events(), [E::ItemSubmitted { .. }, E::Completed { .. }]));
    let accepted = given::<FileRequest>(complete.clone()).when(C::AcceptItem { request_item_id: id(1) });
    let accepted = [complete, accepted.events().to_vec()].concat();
    let other = C::SubmitItem { request_item_id: id(1), file_id: file(2) };
    knowing(accepted, 2).when(other).rejected("files.file_request.item_accepted");
}

#[test]
fn only_a_file_of_the_client_that_was_inspected_is_handed_in() {
    let with = |file_: File| given::<FileRequest>(sent()).knowing(Reference::id::<File>(file(1)), file(1), file_);
    with(available_of(Some(client()), false)).when(submit(1)).rejected("files.file_request.file_not_available");
    with(available_of(None, true)).when(submit(1)).rejected("files.file_request.file_elsewhere");
    given::<FileRequest>(sent()).when(submit(1)).rejected("files.file_request.unknown_file");
    knowing(vec![created(None)], 1).when(submit(1)).rejected("files.file_request.not_sent");
    knowing(sent(), 9).when(submit(9)).rejected("files.file_request.unknown_item");
    knowing(after(sent(), 1), 1).when(submit(1)).then_nothing();
}

#[test]
fn a_request_expires_when_its_day_is_over_unless_it_is_complete() {
    let due = || sent_by(Some(day("2026-11-03")));
    let late = spec_time() + TimeDelta::days(2);
    given::<FileRequest>(due()).when(C::Expire {}).rejected("files.file_request.not_past_due");
    given::<FileRequest>(due()).at(late).when(C::Expire {}).then([E::Expired {}]);
    let complete = after(after(due(), 1), 2);
    given::<FileRequest>(complete).at(late).when(C::Expire {}).rejected("files.file_request.already_completed");
    let draft = vec![created(Some(day("2026-11-03")))];
    given::<FileRequest>(draft).at(late).when(C::Send {}).rejected("files.file_request.past_due");
    let expired = [due(), vec![E::Expired {}]].concat();
    knowing(expired, 1).when(submit(1)).rejected("files.file_request.over");
}

#[test]
fn a_reminder_says_what_is_still_waited_for() {
    let remind = given::<FileRequest>(after(sent(), 1)).when(C::Remind {});
    let (title, waiting_for) = (name("Onboarding papers"), vec![name("Bank statement")]);
    remind.then([E::Reminded { title, client_id: client(), due_on: None, waiting_for }]);
    let complete = after(after(sent(), 1), 2);
    given::<FileRequest>(complete).when(C::Remind {}).rejected("files.file_request.nothing_waited_for");
}

#[test]
fn one_thing_more_that_is_required_opens_a_complete_request() {
    let add = |optional| C::AddItem { request_item_id: None, name: name("Visa"), description: None, optional };
    let complete = || after(after(sent(), 1), 2);
    let opened = given::<FileRequest>(complete()).when(add(None));
    assert!(matches!(opened.events(), [E::ItemAdded { .. }, E::Reopened {}]));
    assert_eq!(given::<FileRequest>(complete()).when(add(Some(true))).events().len(), 1);
}

#[test]
fn a_request_without_items_is_not_sent() {
    let empty = E::Created {
        title: name("x"),
        client_id: client(),
        project_id: None,
        folder_id: None,
        message: None,
        due_on: None,
        request_items: vec![],
    };
    given::<FileRequest>([empty]).when(C::Send {}).rejected("files.file_request.no_items");
}
