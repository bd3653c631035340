use super::*;
use kernel::spec::given;
use uuid::Uuid;

fn file() -> FileId {
    FileId(Uuid::from_u128(7))
}

fn bill() -> BillId {
    BillId(Uuid::from_u128(8))
}

fn handed_in() -> E {
    E::HandedIn { file_id: file(), handed_in_by: None }
}

fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn found() -> NewFoundBill {
    read(serde_json::json!({ "format": "cii", "sender_name": "Paper & Co", "reference": "2027-14" }))
}

fn not_read() -> E {
    let detail = "it is neither a PDF nor XML".parse().unwrap();
    let problem = BillFileProblem::UnknownFormat;
    E::NotRead { file_id: file(), problem, detail, same_bill_id: None, found: None, handed_in_by: None }
}

fn problem() -> C {
    let detail = "it is neither a PDF nor XML".parse().unwrap();
    C::RecordProblem { problem: BillFileProblem::UnknownFormat, detail, same_bill_id: None, found: None }
}

fn discarded() -> E {
    E::Discarded { reason: "a letter".parse().unwrap(), discarded_by: None }
}

#[test]
fn a_file_is_handed_in_once_until_it_is_discarded() {
    let claim = Claim::new("revenue.bill_file.file", file().to_string());
    let when = given::<BillFile>([]).by_system().when(C::HandIn { file_id: file() }).then([handed_in()]);
    assert_eq!(when.claims(), [ClaimChange::Take(claim.clone())]);
    let discard = C::Discard { reason: "a letter".parse().unwrap() };
    let when = given::<BillFile>([handed_in()]).by_system().when(discard.clone()).then([discarded()]);
    assert_eq!(when.claims(), [ClaimChange::Release(claim)]);
    given::<BillFile>([handed_in(), discarded()]).when(discard).then_nothing();
}

#[test]
fn what_was_read_is_said_by_whoever_reads_and_only_once() {
    let record = C::RecordRead { bill_id: bill(), found: found() };
    let told = E::Read { file_id: file(), bill_id: bill(), found: found().into() };
    given::<BillFile>([handed_in()]).by_system().when(record.clone()).then([told.clone()]);
    given::<BillFile>([handed_in(), told.clone()]).by_system().when(record.clone()).then_nothing();
    given::<BillFile>([handed_in()]).when(record.clone()).rejected("revenue.bill_file.system_only");
    given::<BillFile>([handed_in(), discarded()]).by_system().when(record).rejected("revenue.bill_file.not_being_read");
    given::<BillFile>([handed_in(), told]).when(C::ReadAgain {}).rejected("revenue.bill_file.has_bill");
}

#[test]
fn what_could_not_be_read_waits_for_somebody_and_can_be_read_again() {
    given::<BillFile>([handed_in()]).by_system().when(problem()).then([not_read()]);
    given::<BillFile>([handed_in(), not_read()]).by_system().when(problem()).then_nothing();
    let asked = E::ReadingAsked { file_id: file(), asked_by: None };
    given::<BillFile>([handed_in(), not_read()]).by_system().when(C::ReadAgain {}).then([asked.clone()]);
    given::<BillFile>([handed_in(), not_read(), asked.clone()]).when(C::ReadAgain {}).then_nothing();
    given::<BillFile>([handed_in(), not_read(), asked]).by_system().when(problem()).then([not_read()]);
    given::<BillFile>([handed_in(), discarded()]).when(C::ReadAgain {}).rejected("revenue.bill_file.is_discarded");
}

#[test]
fn somebody_enters_what_stands_on_it_and_says_which_bill_it_is() {
    let enter = C::Enter { bill_id: bill() };
    let entered = E::Entered { bill_id: bill(), entered_by: None };
    given::<BillFile>([handed_in(), not_read()]).when(enter.clone()).rejected("revenue.bill_file.unknown_bill");
    given::<BillFile>([handed_in(), entered.clone()]).when(enter).then_nothing();
    let other = C::Enter { bill_id: BillId(Uuid::from_u128(9)) };
    given::<BillFile>([handed_in(), entered.clone()]).when(other).rejected("revenue.bill_file.has_bill");
    let discard = C::Discard { reason: "a letter".parse().unwrap() };
    given::<BillFile>([handed_in(), entered]).when(discard).rejected("revenue.bill_file.has_bill");
}

#[test]
fn a_bill_that_is_there_is_the_one_that_was_entered() {
    let enter = C::Enter { bill_id: bill() };
    let known = given::<BillFile>([handed_in(), not_read()]).by_system();
    let known = known.knowing(Reference::id::<Bill>(bill()), bill().0, Bill::default());
    known.when(enter).then([E::Entered { bill_id: bill(), entered_by: None }]);
}
