//! What people type: one spelling of each value, and nothing that only looks like one.

use crate::common::{Answer, Service, send};
use serde_json::{Value, json};
use uuid::Uuid;

impl Service {
    /// Creates something, or is told why not.
    async fn create(&self, path: &str, body: &Value) -> Answer {
        let request = self.post(path).header("idempotency-key", Uuid::now_v7().to_string());
        send(request.body(body.to_string())).await
    }

    /// The newest event's payload.
    async fn newest(&self) -> Value {
        let sql = "select payload::text from eventstore.events order by position desc limit 1";
        let payload: String =
            sqlx::query_scalar(sql).fetch_one(&self.app.database.superuser().await).await.expect("a log");
        serde_json::from_str(&payload).expect("JSON")
    }
}

/// The field and the code of the one thing that is wrong.
fn wrong(answer: &Answer) -> (u16, &str, &str) {
    let error = &answer.body["errors"][0];
    (answer.status, error["pointer"].as_str().unwrap_or("?"), error["code"].as_str().unwrap_or("?"))
}

#[actix_web::test]
async fn an_address_that_no_email_reaches_is_refused_at_its_field() {
    let service = Service::start().await;
    for email in [
        "a..b@example.com",
        ".a@example.com",
        "a:@example.com",
        "h@-example.com",
        "h@example-.com",
        "a\u{200b}@example.com",
        "a@exam\u{200b}ple.com",
        "a\u{2060}b@example.com",
        "a@127.0.0.1",
        "a@exa_mple.com",
        "\u{212a}im@example.com",
    ] {
        let invitee = json!({ "name": "Ada", "email": email });
        let appointment = json!({ "event_type": "call", "starts_at": "2027-01-04T10:00:00Z", "invitee": invitee,
                                  "time_zone": "Europe/Berlin" });
        let user = json!({ "name": "Ada", "email": email, "roles": [] });
        let portal_user = json!({ "name": "Ada", "email": email, "client_id": Uuid::now_v7() });
        for (path, body, field) in [
            ("/v1/crm/contacts", json!({ "name": "Ada", "email": email }), "/email"),
            ("/v1/crm/clients", json!({ "name": "Ada", "email": email }), "/email"),
            ("/v1/identity/users", user, "/email"),
            ("/v1/portal/portal-users", portal_user, "/email"),
            ("/v1/scheduling/appointments", appointment, "/invitee/email"),
        ] {
            assert_eq!(wrong(&service.create(path, &body).await), (422, field, "not_an_email"), "{path} {email:?}");
        }
    }
}

#[actix_web::test]
async fn one_mailbox_is_one_contact_however_it_is_spelt() {
    let service = Service::start().await;
    let contact = |email: &str| json!({ "name": "Zoë", "email": email });
    let first = service.create("/v1/crm/contacts", &contact("Zoe\u{308}@BÜCHER.example")).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(service.newest().await["email"], "zo\u{eb}@xn--bcher-kva.example");
    for same in ["zo\u{eb}@bücher.example", "ZOe\u{308}@xn--bcher-kva.example", " zoë@bu\u{308}cher.EXAMPLE "] {
        let answer = service.create("/v1/crm/contacts", &contact(same)).await;
        assert_eq!((answer.status, &answer.body["code"]), (409, &json!("crm.contact.email.taken")), "{same:?}");
    }
    assert_eq!(service.create("/v1/crm/contacts", &contact("zoe@bücher.example")).await.status, 201);
}

#[actix_web::test]
async fn a_telephone_number_is_kept_as_it_is_dialled_from_abroad() {
    let service = Service::start().await;
    for (written, number) in [
        ("+49 (0) 30 123456", "+4930123456"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+39 06 1234 5678", "+390612345678"),
        ("+1 (202) 555-0143", "+12025550143"),
        ("+7 (8) 495 123-45-67", "+74951234567"),
    ] {
        let answer = service.create("/v1/crm/contacts", &json!({ "name": "Ada", "phone": written })).await;
        assert_eq!(answer.status, 201, "{written}: {answer:?}");
        assert_eq!(service.newest().await["phone"], number, "{written}");
    }
    for no_number in ["030 123456", "+0000000", "+999123456789", "+49 30 1", "+1 555 0100", "+1 800 FLOWERS"] {
        let answer = service.create("/v1/crm/contacts", &json!({ "name": "Ada", "phone": no_number })).await;
        assert_eq!(wrong(&answer), (422, "/phone", "not_a_phone"), "{no_number}");
    }
}

#[actix_web::test]
async fn a_name_of_nothing_visible_or_that_reads_otherwise_is_refused_at_its_field() {
    let service = Service::start().await;
    for name in [
        "\u{200b}",
        "\u{2060}",
        "\u{3164}",
        "\u{202e}gnp.exe",
        "\u{2066}a\u{2069}",
        "a\u{200b}b",
        "\u{2800}",
        "\u{115f}",
    ] {
        for (path, body, field) in [
            ("/v1/crm/clients", json!({ "name": name }), "/name"),
            ("/v1/crm/contacts", json!({ "name": name }), "/name"),
            ("/v1/projects/projects", json!({ "name": name }), "/name"),
            ("/v1/files/folders", json!({ "name": name }), "/name"),
            ("/v1/identity/teams", json!({ "name": name }), "/name"),
        ] {
            assert_eq!(wrong(&service.create(path, &body).await), (422, field, "not_visible"), "{path} {name:?}");
        }
    }
    let role = json!({ "name": "partner", "description": "invoice \u{202e}fdp.exe", "patterns": ["crm.*"] });
    let answer = service.create("/v1/identity/roles", &role).await;
    assert_eq!(wrong(&answer), (422, "/description", "not_visible"));
    for name in ["\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}", "👩\u{200d}🚀", "日本"] {
        assert_eq!(service.create("/v1/crm/clients", &json!({ "name": name })).await.status, 201, "{name:?}");
        assert_eq!(service.newest().await["name"], name);
    }
}

#[actix_web::test]
async fn names_that_look_the_same_are_one_name() {
    let service = Service::start().await;
    let team = service.create("/v1/identity/teams", &json!({ "name": "Cafe\u{301}" })).await;
    assert_eq!(team.status, 201, "{team:?}");
    assert_eq!(service.newest().await["name"], "Caf\u{e9}");
    for same in ["Caf\u{e9}", "CAFE\u{301}"] {
        let answer = service.create("/v1/identity/teams", &json!({ "name": same })).await;
        assert_eq!(answer.status, 409, "{same:?}: {answer:?}");
    }
    let folder = service.create("/v1/files/folders", &json!({ "name": "Papers" })).await.id();
    let add = format!("/v1/files/folders/{folder}/add-subfolder");
    let first = send(service.post(&add).body(json!({ "name": "Cafe\u{301}" }).to_string())).await;
    assert_eq!(first.status, 200, "{first:?}");
    for same in ["Caf\u{e9}", "caf\u{e9}", "CAFE\u{301}"] {
        let answer = send(service.post(&add).body(json!({ "name": same }).to_string())).await;
        assert_eq!((answer.status, answer.problem()), (409, "files.folder.name_taken"), "{same:?}");
    }
}

#[actix_web::test]
async fn a_folder_is_not_called_what_leads_elsewhere() {
    let service = Service::start().await;
    let folder = service.create("/v1/files/folders", &json!({ "name": "Papers" })).await.id();
    for name in ["a/b", "a\\b", "..", ".", "/", "../../etc"] {
        let root = service.create("/v1/files/folders", &json!({ "name": name })).await;
        assert_eq!(wrong(&root), (422, "/name", "not_allowed"), "{name}");
        for verb in ["add-subfolder", "rename"] {
            let path = format!("/v1/files/folders/{folder}/{verb}");
            let answer = send(service.post(&path).body(json!({ "name": name }).to_string())).await;
            assert_eq!(wrong(&answer), (422, "/name", "not_allowed"), "{verb} {name}");
        }
        let template = json!({ "key": "papers", "name": "Papers", "paths": [["Letters"], ["Letters", name]] });
        let answer = service.create("/v1/files/folder-templates", &template).await;
        assert_eq!(wrong(&answer), (422, "/paths/1/1", "not_allowed"), "{name}");
    }
}
