//! The client's person comes in to the portal, by the link in a letter.

use super::tour::Tour;
use super::visitor::{PATIENCE, text};
use super::{TENANT, booking};
use anyhow::{Context, Result, ensure};
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use url::{Url, form_urlencoded};

/// What the person sees of the portal.
const PARTS: [&str; 5] = ["projects", "approvals", "agreements", "files", "invoices"];
/// What a link in a letter begins with, after our address.
const LINK: &str = "/v1/login/portal?link=";

/// What the person sees of a list; nothing is asked, and none told, if they came in at an earlier start.
pub async fn sees(tour: &Tour<'_>, client_id: &str, path: &str) -> Result<Option<Vec<Value>>> {
    let visitor = &tour.visitor;
    let person = visitor.one(&format!("/v1/portal/portal-users?client_id={client_id}")).await?;
    let id = text(&person, "id");
    for part in PARTS {
        let open = json!({ "scope": part });
        let path = format!("/v1/portal/portal-users/{id}/grant-access");
        visitor.command(&path, &format!("demo-portal-{part}"), &open).await?;
    }
    if person["status"] == "active" {
        return Ok(None);
    }
    let http = Client::builder().timeout(Duration::from_secs(30)).redirect(Policy::none()).build()?;
    let cookie = come_in(tour, &http).await?;
    // What somebody may do reaches both services within a second.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let url = format!("{}{path}", visitor.query_url);
        let answer = http.get(&url).header(COOKIE, &cookie).send().await.with_context(|| format!("GET {url}"))?;
        let (status, shown) = (answer.status(), answer.json::<Value>().await.unwrap_or(Value::Null));
        match shown["data"].as_array() {
            Some(rows) if status.is_success() && !rows.is_empty() => return Ok(Some(rows.clone())),
            _ if Instant::now() > deadline => {
                ensure!(status.is_success(), "GET {path} in the portal answered {status}: {shown}");
                return Ok(Some(vec![]));
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Asks for a link, opens it, and presses the button; answers the session's cookie.
async fn come_in(tour: &Tour<'_>, http: &Client) -> Result<String> {
    let visitor = &tour.visitor;
    let before = tour.outside.texts(booking::EMAIL, LINK).await?.len();
    let ask = json!({ "tenant": TENANT, "email": booking::EMAIL });
    let url = format!("{}/v1/login/portal/link", visitor.command_url);
    let asked = http.post(&url).json(&ask).send().await.with_context(|| format!("POST {url}"))?;
    ensure!(asked.status().is_success(), "POST {url} answered {}", asked.status());
    let deadline = Instant::now() + PATIENCE;
    let letter = loop {
        let letters = tour.outside.texts(booking::EMAIL, LINK).await?;
        if letters.len() > before {
            break letters.into_iter().next_back().context("a letter")?;
        }
        ensure!(Instant::now() < deadline, "no letter with a link within {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let link = letter.split_whitespace().find(|word| word.contains(LINK)).context("the letter has no link")?;
    let link = Url::parse(link.trim_matches(['<', '>'])).context("the link in the letter")?;
    let page = http.get(link.clone()).send().await?;
    let shown = cookie(&page).context("the page of the link sets no cookie")?;
    let link =
        link.query_pairs().find(|(name, _)| name == "link").map(|(_, link)| link.into_owned()).unwrap_or_default();
    let value = shown.split_once('=').map_or("", |(_, value)| value);
    let form =
        form_urlencoded::Serializer::new(String::new()).extend_pairs([("link", &*link), ("page", value)]).finish();
    let press = http.post(format!("{}/v1/login/portal", visitor.command_url)).header(COOKIE, &shown);
    let press = press.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
    let came = press.send().await?;
    ensure!(came.status().is_redirection(), "the button of the link answered {}", came.status());
    cookie(&came).context("whoever came in has no session")
}

/// The last cookie that an answer sets: a browser takes the last word about one.
fn cookie(answer: &Response) -> Option<String> {
    let mut all = answer.headers().get_all(SET_COOKIE).iter().filter_map(|set| set.to_str().ok());
    Some(all.next_back()?.split(';').next()?.to_owned())
}
