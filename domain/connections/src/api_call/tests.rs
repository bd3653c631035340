use super::*;
use connections_events::{ConnectionEvent, Provider};
use kernel::spec::{Given, given};
use uuid::Uuid;

const XERO: ConnectionId = ConnectionId(Uuid::from_u128(3));

fn connection(events: impl IntoIterator<Item = ConnectionEvent>) -> Connection {
    let mut connection = Connection::default();
    let created = ConnectionEvent::Created { provider: Provider::Xero, name: "Books".parse().unwrap() };
    [created].into_iter().chain(events).for_each(|event| connection.apply(&event));
    connection
}

fn calls(events: impl IntoIterator<Item = E>) -> Given<ApiCall> {
    given::<ApiCall>(events).knowing(Reference::id::<Connection>(XERO), XERO, connection([]))
}

fn request() -> C {
    C::Request {
        connection_id: XERO,
        method: CallMethod::Put,
        path: vec!["Items".parse().unwrap()],
        query: vec![],
        body: "{\"Code\":\"A\"}".parse().ok(),
        keep: vec![Wanted { name: "item".parse().unwrap(), at: "/Items/0/ItemID".parse().unwrap() }],
    }
}

fn requested() -> E {
    E::Requested {
        connection_id: XERO,
        provider: Provider::Xero,
        method: CallMethod::Put,
        path: vec!["Items".parse().unwrap()],
        query: vec![],
        body: "{\"Code\":\"A\"}".parse().ok().map(Personal::new),
        keep: vec![Wanted { name: "item".parse().unwrap(), at: "/Items/0/ItemID".parse().unwrap() }],
    }
}

fn unknown() -> E {
    E::OutcomeUnknown { reason: "no answer came".parse().unwrap() }
}

#[test]
fn a_call_goes_through_a_connection_of_the_firm_and_nowhere_else() {
    calls([]).when(request()).then([requested()]);
    given::<ApiCall>([]).when(request()).rejected("connections.api_call.unknown_connection");
    let gone = connection([ConnectionEvent::Disconnected {}]);
    let through_it = given::<ApiCall>([]).knowing(Reference::id::<Connection>(XERO), XERO, gone);
    through_it.when(request()).rejected("connections.api_call.disconnected");
}

#[test]
fn what_cannot_be_sent_is_refused_before_it_is_tried() {
    let with = |change: fn(&mut C)| {
        let mut command = request();
        change(&mut command);
        command
    };
    type Case = (fn(&mut C), &'static str);
    let cases: [Case; 6] = [
        (
            |c| {
                if let C::Request { path, .. } = c {
                    path.clear()
                }
            },
            "path_not_allowed",
        ),
        (
            |c| {
                if let C::Request { path, .. } = c {
                    path.push("..".parse().unwrap())
                }
            },
            "path_not_allowed",
        ),
        (
            |c| {
                if let C::Request { method, .. } = c {
                    *method = CallMethod::Get
                }
            },
            "body_not_allowed",
        ),
        (
            |c| {
                if let C::Request { body, .. } = c {
                    *body = "{".parse().ok()
                }
            },
            "body_not_json",
        ),
        (
            |c| {
                if let C::Request { keep, .. } = c {
                    keep.push(keep[0].clone())
                }
            },
            "wanted_twice",
        ),
        (
            |c| {
                if let C::Request { keep, .. } = c {
                    keep[0].at = "Items".parse().unwrap()
                }
            },
            "pointer_not_allowed",
        ),
    ];
    for (change, code) in cases {
        calls([]).when(with(change)).rejected(&format!("connections.api_call.{code}"));
    }
}

#[test]
fn what_became_of_it_is_said_once_and_only_by_whoever_made_it() {
    let answer = || C::RecordAnswered { status: 200, values: vec![] };
    let answered = || E::Answered { status: 200, values: vec![] };
    given::<ApiCall>([requested()]).when(answer()).rejected("connections.api_call.connect_only");
    given::<ApiCall>([requested()]).by_system().when(answer()).then([answered()]);
    given::<ApiCall>([requested(), answered()]).by_system().when(answer()).then_nothing();
    let late = C::RecordUnknown { reason: "no answer came".parse().unwrap() };
    given::<ApiCall>([requested(), answered()]).by_system().when(late).then_nothing();
}

#[test]
fn what_nobody_knows_the_end_of_is_settled_by_somebody_who_has_looked() {
    let settle = || C::Settle { happened: true, note: None };
    let settled = || E::Settled { happened: true, note: None };
    given::<ApiCall>([requested()]).when(settle()).rejected("connections.api_call.not_unknown");
    given::<ApiCall>([requested(), unknown()]).when(settle()).then([settled()]);
    given::<ApiCall>([requested(), unknown(), settled()]).when(settle()).then_nothing();
}
