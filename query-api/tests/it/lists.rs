//! Lists: their order and pages, what selects, and what was put away.

use crate::world;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use harness::{History, client, crm, tagged, tenant};
use serde_json::{Value, json};
use uuid::Uuid;

#[actix_web::test]
async fn every_order_is_paged_through_without_gap_or_repeat() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    for sort in ["", "name", "-name", "created_at", "-created_at", "name,-created_at", "-name,updated_at"] {
        let mut path = format!("/v1/crm/clients?limit=4&kind=organisation&sort={sort}").replace("&sort=&", "&");
        if sort.is_empty() {
            path = "/v1/crm/clients?limit=4&kind=organisation".to_owned();
        }
        let (mut ids, mut names) = (vec![], vec![]);
        loop {
            let response = app.get(&path, &token).await;
            let link = response.headers.get("link").map(|l| l.to_str().unwrap().to_owned());
            let (status, body) = response.told();
            assert_eq!(status, 200, "{sort}: {body}");
            for row in body["data"].as_array().unwrap() {
                ids.push(row["id"].as_str().unwrap().to_owned());
                names.push(row["name"].as_str().unwrap().to_owned());
            }
            assert_eq!(body["has_more"].as_bool().unwrap(), link.is_some());
            assert_eq!(body["next_cursor"].is_string(), link.is_some());
            let Some(link) = link else { break };
            path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        assert_eq!(ids.len(), 15, "{sort}");
        let mut ordered = names.clone();
        ordered.sort();
        if sort.starts_with("-name") {
            ordered.reverse();
        }
        if sort.contains("name") {
            assert_eq!(names, ordered, "{sort}");
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 15, "{sort}: every client once");
    }
}

#[actix_web::test]
async fn filters_select_and_only_within_the_firm() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    for (query, expected) in [
        ("", 23),
        ("status=active", 12),
        ("status=active&kind=individual", 4),
        ("name=Client%2003", 2),
        ("name=cLIENT%2003", 2),
        ("name=client%2003&name=client%2004&name=nobody", 4),
        ("status=active,former", 12),
        ("status=former&status=active", 12),
        (
            "id=00000000-0000-0000-0000-0000000003e8,00000000-0000-0000-0000-0000000003e9&id=00000000-0000-0000-0000-0000000007d0",
            2,
        ),
        ("email=C3@Example.com", 1),
        ("created_at_from=2020-01-01T00:00:00Z", 23),
        ("created_at_before=2020-01-01T00:00:00Z", 0),
        ("name=Foreign", 0),
        ("owner_id=00000000-0000-0000-0000-000000000001", 0),
        ("name=%27%3B%20drop%20table%20crm.clients%3B%20--", 0),
    ] {
        let path = format!("/v1/crm/clients?limit=200&{query}");
        let (status, body) = app.get(&path, &token).await.told();
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!(body["data"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[actix_web::test]
async fn t_04_a_parameter_that_means_nothing_is_refused_by_name() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let page = app.get("/v1/crm/clients?limit=2&sort=name", &token).await;
    let cursor = page.told().1["next_cursor"].as_str().unwrap().to_owned();
    let forged = BASE64.encode(json!({ "of": "x", "after": ["a", "b"] }).to_string());
    for (query, parameter, code) in [
        ("colour=red".to_owned(), "colour", "invalid-parameter"),
        ("phone=%2B491234567".to_owned(), "phone", "invalid-parameter"),
        ("limit=0".to_owned(), "limit", "invalid-parameter"),
        ("limit=201".to_owned(), "limit", "invalid-parameter"),
        ("limit=ten".to_owned(), "limit", "invalid-parameter"),
        ("sort=email".to_owned(), "sort", "invalid-parameter"),
        ("sort=name,name".to_owned(), "sort", "invalid-parameter"),
        ("sort=name,".to_owned(), "sort", "invalid-parameter"),
        ("status=sleeping".to_owned(), "status", "invalid-parameter"),
        ("status=active,sleeping".to_owned(), "status", "invalid-parameter"),
        ("status=".to_owned(), "status", "invalid-parameter"),
        ("limit=1&limit=2".to_owned(), "limit", "invalid-parameter"),
        (
            "created_at_before=2020-01-01T00:00:00Z&created_at_before=2021-01-01T00:00:00Z".to_owned(),
            "created_at_before",
            "invalid-parameter",
        ),
        ("archived=any".to_owned(), "archived", "invalid-parameter"),
        ("email=nobody".to_owned(), "email", "invalid-parameter"),
        (format!("id={}", vec!["00000000-0000-0000-0000-000000000001"; 101].join(",")), "id", "invalid-parameter"),
        ("archived=false".to_owned(), "archived", "invalid-parameter"),
        ("owner_id=me".to_owned(), "owner_id", "invalid-parameter"),
        ("created_at_from=today".to_owned(), "created_at_from", "invalid-parameter"),
        ("created_at=2020-01-01T00:00:00Z".to_owned(), "created_at", "invalid-parameter"),
        ("name=%00".to_owned(), "name", "invalid-parameter"),
        ("cursor=garbage".to_owned(), "cursor", "invalid-cursor"),
        (format!("cursor={forged}"), "cursor", "invalid-cursor"),
        (format!("cursor={cursor}&sort=-name"), "cursor", "invalid-cursor"),
        (format!("cursor={cursor}&sort=name&status=active"), "cursor", "invalid-cursor"),
    ] {
        let path = format!("/v1/crm/clients?{query}");
        let (status, body) = app.get(&path, &token).await.told();
        let got = (status, body["code"].as_str(), body["parameter"].as_str());
        assert_eq!(got, (400, Some(code), Some(parameter)), "{query}: {body}");
    }
    let path = format!("/v1/crm/clients?cursor={cursor}&sort=name");
    assert_eq!(app.get(&path, &app.token_with(tenant(2), &["viewer"])).await.status, 400, "another firm's");
    assert_eq!(app.get(&path, &token).await.status, 200);
    let path = format!("/v1/crm/clients/{}?expand=owner", Uuid::from_u128(1_000));
    let (status, body) = app.get(&path, &token).await.told();
    assert_eq!((status, body["parameter"].as_str()), (400, Some("expand")));
}

#[actix_web::test]
async fn a_cursor_with_a_value_of_the_wrong_type_is_refused() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let page = app.get("/v1/crm/clients?limit=2", &token).await;
    let cursor = page.told().1["next_cursor"].as_str().unwrap().to_owned();
    let mut content: Value = serde_json::from_slice(&BASE64.decode(cursor).unwrap()).unwrap();
    content["after"][0] = json!("yesterday");
    let path = format!("/v1/crm/clients?cursor={}", BASE64.encode(content.to_string()));
    let (status, body) = app.get(&path, &token).await.told();
    assert_eq!((status, body["code"].as_str()), (400, Some("invalid-cursor")));
}

#[actix_web::test]
async fn names_are_in_the_order_that_people_expect_on_every_page() {
    let mut world = History::new().await;
    let expected =
        ["10 Downing", "Abel", "Ångström", "apple", "Apple", "Étoile", "Project 2", "project 10", "zebra", "Zoë"];
    let mut shuffled = expected;
    shuffled.sort_unstable();
    for (n, name) in (1u128..).zip(shuffled) {
        world.event(tenant(1), Uuid::from_u128(n), client(name));
    }
    world.write().await;
    world.catch_up(crm(), 100).await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    for descending in [false, true] {
        let (mut names, mut cursor) = (vec![], String::new());
        loop {
            let sort = if descending { "-name" } else { "name" };
            let path = format!("/v1/crm/clients?limit=3&sort={sort}{cursor}");
            let (status, body) = app.get(&path, &token).await.told();
            assert_eq!(status, 200, "{body}");
            names.extend(body["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
            let Some(next) = body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        if descending {
            names.reverse();
        }
        assert_eq!(names, expected);
    }
    for (asked, found) in
        [("ÉTOILE", 1), ("e\u{301}toile", 1), ("etoile", 0), ("APPLE", 2), ("A\u{30a}ngstro\u{308}m", 1)]
    {
        let asked: String = asked.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/v1/crm/clients?name={asked}");
        let (_, body) = app.get(&path, &token).await.told();
        assert_eq!(body["data"].as_array().unwrap().len(), found, "{asked}: {body}");
    }
}

#[actix_web::test]
async fn what_was_put_away_is_in_lists_for_whoever_asks_for_it() {
    let mut world = History::new().await;
    let created = |n: u128| {
        let task = json!({ "id": Uuid::from_u128(n), "title": "Write" });
        let milestone = json!({ "id": Uuid::from_u128(n + 100), "name": "Done" });
        json!({ "name": "x", "starts_on": "2026-01-01", "tasks": [task], "milestones": [milestone] })
    };
    for n in [1u128, 2] {
        world.stored(tenant(1), "projects.project", Uuid::from_u128(n), "project.created", 1, created(n + 10));
    }
    world.stored(tenant(1), "projects.project", Uuid::from_u128(2), "project.archived", 1, json!({}));
    world.write().await;
    world.catch_up(projections::group("projects").unwrap(), 100).await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    for list in ["projects/projects", "projects/tasks", "projects/milestones"] {
        for (query, expected) in [("", 1), ("archived=false", 1), ("archived=true", 1), ("archived=any", 2)] {
            let (_, body) = app.get(&format!("/v1/{list}?{query}"), &token).await.told();
            assert_eq!(body["data"].as_array().unwrap().len(), expected, "{list} {query}: {body}");
        }
        for wrong in ["archived=yes", "archived=", "archived=true&archived=false"] {
            let (status, body) = app.get(&format!("/v1/{list}?{wrong}"), &token).await.told();
            assert_eq!((status, &body["parameter"]), (400, &json!("archived")), "{wrong}");
        }
    }
    let (status, _) = app.get(&format!("/v1/projects/projects/{}", Uuid::from_u128(2)), &token).await.told();
    assert_eq!(status, 200, "the record itself is there");
}

#[actix_web::test]
async fn every_list_shows_what_was_put_away_only_to_whoever_asks_for_it() {
    let (world, _) = History::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["owner"]);
    let mut put_away = 0;
    for (_, _, resource) in projections::resources().filter(|(_, table, _)| table.away().is_some()) {
        let mut ids = vec![];
        for archived in ["any", "true", "false"] {
            let path = format!("/v1/{}?archived={archived}&limit=200", resource.path);
            let (_, body) = app.get(&path, &token).await.told();
            let of = body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
            ids.push(of.collect::<Vec<_>>());
        }
        let [any, only, without] = ids.as_slice() else { unreachable!() };
        put_away += only.len();
        let mut both = [only.as_slice(), without].concat();
        both.sort();
        let mut any = any.clone();
        any.sort();
        assert_eq!(any, both, "{}", resource.path);
        let (_, body) = app.get(&format!("/v1/{}?limit=200", resource.path), &token).await.told();
        assert_eq!(body["data"].as_array().unwrap().len(), without.len(), "{}", resource.path);
    }
    assert!(put_away > 0);
}

#[actix_web::test]
async fn contacts_and_folders_that_are_archived_come_back_into_the_lists_with_their_restoring() {
    let mut world = History::new().await;
    let streams = [
        ("crm.contact", "contact", json!({ "name": "Ada", "email": null, "phone": null }), "crm/contacts"),
        (
            "files.folder",
            "folder",
            json!({ "name": "Ada", "client_id": null, "project_id": null, "template": null, "subfolders": [] }),
            "files/folders",
        ),
    ];
    let id = |list: &str, n: u128| Uuid::from_u128(n + 10 * list.len() as u128);
    for (aggregate, stem, created, list) in &streams {
        for n in [1u128, 2, 3] {
            world.stored(tenant(1), aggregate, id(list, n), &format!("{stem}.created"), 1, created.clone());
        }
        for n in [2u128, 3] {
            world.stored(tenant(1), aggregate, id(list, n), &format!("{stem}.archived"), 1, json!({}));
        }
        world.stored(tenant(1), aggregate, id(list, 3), &format!("{stem}.restored"), 1, json!({}));
    }
    world.write().await;
    for group in ["crm", "files"] {
        world.catch_up(projections::group(group).unwrap(), 100).await;
    }
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    for (_, _, _, list) in &streams {
        for (query, expected) in [("", vec![1u128, 3]), ("archived=true", vec![2]), ("archived=any", vec![1, 2, 3])] {
            let path = format!("/v1/{list}?sort=created_at&{query}");
            let (_, body) = app.get(path.trim_end_matches('&'), &token).await.told();
            let mut ids: Vec<Value> = body["data"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
            ids.sort_by_key(Value::to_string);
            assert_eq!(ids, expected.iter().map(|n| json!(id(list, *n))).collect::<Vec<_>>(), "{path}");
        }
    }
}

#[actix_web::test]
async fn everything_that_is_wrong_with_a_query_is_told_at_once() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let wrong = async |path: &str| {
        let (status, body) = app.get(path, &token).await.told();
        assert_eq!((status, body["code"].as_str()), (400, Some("invalid-parameter")), "{path}: {body}");
        assert_eq!(body["parameter"], body["errors"][0]["parameter"], "{body}");
        let errors = body["errors"].as_array().unwrap().clone();
        errors.into_iter().map(|error| {
            assert_eq!(error["pointer"], "", "{error}");
            let text = |name: &str| error[name].as_str().unwrap().to_owned();
            (text("parameter"), text("code"), error["parameters"].clone())
        })
    };
    let list = "/v1/crm/clients?limit=0&sort=nmae,-name,name&status=active,actve&owner_id=me&email=ada\
                &created_at_from=0000-01-01T00:00:00Z&created_at_before=today&statsu=active&cursor=x&limit_=1";
    let of_status =
        json!({ "options": ["prospect", "onboarding", "active", "dormant", "former"], "nearest": "active" });
    let expected = [
        ("limit", "out_of_range", json!({ "min": 1, "max": 200 })),
        ("sort", "not_one_of", json!({ "options": ["name", "created_at", "updated_at"], "nearest": "name" })),
        ("sort", "duplicate", json!({})),
        ("email", "not_an_email", json!({})),
        ("status", "not_one_of", of_status),
        ("owner_id", "not_an_id", json!({})),
    ];
    let found: Vec<_> = wrong(list).await.collect();
    let expected: Vec<_> = expected.map(|(name, code, of)| (name.to_owned(), code.to_owned(), of)).into();
    assert_eq!(found[..6], expected, "{found:?}");
    let rest: Vec<(&str, &str)> = found[6..].iter().map(|(name, code, _)| (name.as_str(), code.as_str())).collect();
    assert_eq!(rest[1..], [("created_at_before", "not_a_time"), ("limit_", "unknown"), ("statsu", "unknown")]);
    assert_eq!((found[8].2["nearest"].as_str(), found[9].2["nearest"].as_str()), (Some("limit"), Some("status")));
    assert_eq!(rest[0].0, "created_at_from");

    let many = vec![Uuid::nil().to_string(); 101].join(",");
    let found: Vec<_> = wrong(&format!("/v1/crm/clients?id={many}&limit=x")).await.collect();
    assert_eq!((found[0].1.as_str(), found[1].1.as_str()), ("not_a_number", "too_many"), "{found:?}");
    assert_eq!(found[1].2, json!({ "max": 100 }));

    let found: Vec<_> = wrong(&format!("/v1/crm/clients/{}?expand=a&fields=b", Uuid::from_u128(1_000))).await.collect();
    assert_eq!(found.len(), 2);
    assert_eq!(wrong("/v1/identity/me?expand=a&fields=b").await.count(), 2);
    assert_eq!(wrong("/v1/events/1?expand=a&fields=b").await.count(), 2);
    let all: Vec<String> = (0..300).map(|n| format!("p{n}=1")).collect();
    assert_eq!(wrong(&format!("/v1/crm/clients?{}", all.join("&"))).await.count(), 100);
}

#[actix_web::test]
async fn clients_are_found_by_their_tags() {
    let mut world = History::new().await;
    for (n, tags) in [(1u128, &["vip", "tax"][..]), (2, &["tax"]), (3, &[])] {
        world.event(tenant(1), Uuid::from_u128(n), client("x"));
        tags.iter().for_each(|tag| world.event(tenant(1), Uuid::from_u128(n), tagged(tag)));
    }
    world.write().await;
    world.catch_up(crm(), 100).await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    for (query, expected) in
        [("tag=tax", 2), ("tag=vip", 1), ("tag=vip,other", 1), ("tag=vip&tag=tax", 2), ("tag=ta", 0)]
    {
        let (_, body) = app.get(&format!("/v1/crm/clients?{query}"), &token).await.told();
        assert_eq!(body["data"].as_array().unwrap().len(), expected, "{query}: {body}");
    }
}

#[actix_web::test]
async fn a_range_includes_its_beginning_and_not_its_end() {
    let mut world = History::new().await;
    for (n, day) in [(1u128, "2026-01-01"), (2, "2026-01-02"), (3, "2026-01-03")] {
        let created = json!({ "name": "x", "starts_on": day, "tasks": [], "milestones": [] });
        world.stored(tenant(1), "projects.project", Uuid::from_u128(n), "project.created", 1, created);
    }
    world.write().await;
    world.catch_up(projections::group("projects").unwrap(), 100).await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    for (query, expected) in [
        ("starts_on_from=2026-01-02", 2),
        ("starts_on_before=2026-01-02", 1),
        ("starts_on_from=2026-01-02&starts_on_before=2026-01-03", 1),
        ("starts_on_from=2026-01-02&starts_on_before=2026-01-02", 0),
    ] {
        let path = format!("/v1/projects/projects?{query}");
        let (_, body) = app.get(&path, &token).await.told();
        assert_eq!(body["data"].as_array().unwrap().len(), expected, "{query}: {body}");
    }
}

#[actix_web::test]
async fn every_range_of_every_list_includes_its_beginning_and_not_its_end() {
    let (world, _) = History::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["owner"]);
    let mut asked = vec![];
    for (_, table, resource) in projections::resources() {
        let archived = if table.away().is_some() { "&archived=any" } else { "" };
        let ids = async |query: String| {
            let path = format!("/v1/{}?limit=200{archived}{query}", resource.path);
            let (status, body) = app.get(&path, &token).await.told();
            assert_eq!(status, 200, "{path}: {body}");
            body["data"].as_array().unwrap().clone()
        };
        let rows = ids(String::new()).await;
        for column in resource.filter.iter().filter(|name| name.ends_with("_at") || name.ends_with("_on")) {
            let Some(row) = rows.iter().find(|row| row[column].is_string()) else { continue };
            let at = row[column].as_str().unwrap();
            let shows = |rows: &[Value]| rows.iter().any(|found| found["id"] == row["id"]);
            assert!(shows(&ids(format!("&{column}_from={at}")).await), "{}: {column}", resource.path);
            assert!(!shows(&ids(format!("&{column}_before={at}")).await), "{}: {column}", resource.path);
            asked.push(format!("{}.{column}", resource.path));
        }
    }
    for column in ["scheduling/appointments.starts_at", "projects/tasks.due_on", "workflow/runs.started_at"] {
        assert!(asked.iter().any(|asked| asked == column), "{column}: {asked:?}");
    }
}
