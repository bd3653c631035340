//! Providers outside, as the lab stands in for them, and everything of ours that speaks to them.

use crate::{APP, Firm, PUBLIC, TestApp};
use ::web::BodyLimits;
use actix_web::web::Data;
use connect::{Desk, Providers};
use docusign::{Docusign, DocusignDoor};
use dropbox_sign::{DropboxSign, DropboxSignDoor};
use event_store::Log;
use kernel::ConnectionId;
use lab::{
    CLIENT_ID, CLIENT_SECRET, DOCUSIGN_ACCOUNT, DROPBOX_SIGN_ACCOUNT, Lab, QUICKBOOKS_REALM, WEBHOOK_KEY, XERO_TENANT,
};
use ports::Place;
use providers::{Account, Adapter, Budget, Hears, Keeper, Links, OAuth, OAuthSettings, Rules, Sweeper};
use quickbooks::{Quickbooks, QuickbooksDoor};
use reactions::Engine;
use serde_json::json;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use vault::{LocalKeys, Vault};
use xero::{Xero, XeroDoor};

/// A lab, and links to it in the database of a [`TestApp`].
pub struct Outside {
    /// The providers.
    pub lab: Lab,
    /// As a worker has them.
    pub links: Links,
    /// As command-api has them.
    pub keeper: Keeper,
    /// Keeps books.
    pub xero: Xero,
    /// Keeps books, too.
    pub quickbooks: Quickbooks,
    /// Has papers signed.
    pub docusign: Docusign,
    /// Has papers signed, too.
    pub dropbox_sign: DropboxSign,
    /// As a worker connects.
    pub worker: PgPool,
}

/// A key for tests: 32 bytes in base64.
const KEK: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

impl Outside {
    /// A lab of its own.
    pub async fn start(app: &TestApp) -> Self {
        Self::beside(app, Lab::start()).await
    }

    /// Another process at the same lab and the same database.
    pub async fn beside(app: &TestApp, lab: Lab) -> Self {
        let (worker, command) = (app.database.worker().await, app.database.command().await);
        let links = Links::new(
            worker.clone(),
            vault(&worker),
            [
                ("xero", oauth(&lab, "xero")),
                ("quickbooks", of_quickbooks(&lab)),
                ("docusign", oauth(&lab, "docusign")),
                ("dropbox_sign", OAuth::in_json(&settings(&lab, "dropbox_sign")).unwrap()),
            ],
        );
        let keeper = Keeper::new(command.clone(), vault(&command));
        let xero = Xero::with_rules(links.clone(), wide(), Duration::from_secs(900)).unwrap();
        let quickbooks = Quickbooks::with_rules(links.clone(), wide(), Duration::from_secs(900)).unwrap();
        let docusign = Docusign::with_rules(links.clone(), wide(), Duration::from_secs(900)).unwrap();
        let dropbox_sign = DropboxSign::with_rules(links.clone(), wide(), Duration::from_secs(900), false).unwrap();
        Self { lab, links, keeper, xero, quickbooks, docusign, dropbox_sign, worker }
    }

    /// The providers, as the door sees them.
    pub fn adapters(&self) -> Vec<Arc<dyn Adapter>> {
        let (lab, key) = (&self.lab, || Some(WEBHOOK_KEY.to_owned().into()));
        let xero = XeroDoor::new(oauth(lab, "xero"), &lab.api("xero"), key()).unwrap();
        let quickbooks = QuickbooksDoor::new(of_quickbooks(lab), &lab.api("quickbooks"), key()).unwrap();
        let userinfo = format!("{}/oauth/userinfo", lab.api("docusign"));
        let docusign = DocusignDoor::new(oauth(lab, "docusign"), &userinfo, key()).unwrap();
        let agreed = OAuth::in_json(&settings(lab, "dropbox_sign")).unwrap();
        let dropbox_sign = DropboxSignDoor::new(agreed, &lab.api("dropbox_sign"), key()).unwrap();
        vec![Arc::new(xero), Arc::new(quickbooks), Arc::new(docusign), Arc::new(dropbox_sign)]
    }

    /// The pages on which firms are connected, and the door.
    pub fn desk(&self, app: &TestApp) -> Data<Desk> {
        let limits = BodyLimits { bytes_max: 64 << 10, time_max: Duration::from_secs(5) };
        let (store, sessions) = (app.bus.store().clone(), Some(app.sessions.clone()));
        let urls = (PUBLIC.to_owned(), APP.to_owned());
        Data::new(Desk::new(store, self.keeper.clone(), sessions, self.adapters(), limits, urls))
    }

    /// Whoever looks after connections, in rounds; `with` adds reactions that use them.
    pub fn providers(
        &self,
        app: &TestApp,
        hearers: Vec<Arc<dyn Hears>>,
        with: impl FnOnce(Engine) -> Engine,
    ) -> Providers {
        let sweepers: Vec<Arc<dyn Sweeper>> = vec![
            Arc::new(self.xero.clone()),
            Arc::new(self.quickbooks.clone()),
            Arc::new(self.docusign.clone()),
            Arc::new(self.dropbox_sign.clone()),
        ];
        let log = Log::new(self.worker.clone());
        Providers::new(log, app.bus.store().clone(), self.links.clone(), sweepers, hearers, with)
    }

    /// A connection of the firm that somebody has just agreed to.
    pub async fn connected(&self, app: &TestApp, firm: Firm, provider: &str) -> Place {
        let connection = Uuid::now_v7();
        let create = json!({ "provider": provider, "name": format!("Our {provider}") });
        app.command(firm, "connections.connection.create", connection, &create).await;
        let place = Place { tenant: firm.into(), connection: ConnectionId(connection) };
        self.agreed(app, place, provider).await;
        place
    }

    /// Somebody agrees at the provider, now or again.
    pub async fn agreed(&self, app: &TestApp, place: Place, provider: &str) {
        app.command(place.tenant, "connections.connection.begin_authorisation", place.connection.0, &json!({})).await;
        let id = match provider {
            "xero" => XERO_TENANT,
            "quickbooks" => QUICKBOOKS_REALM,
            "dropbox_sign" => DROPBOX_SIGN_ACCOUNT,
            _ => DOCUSIGN_ACCOUNT,
        };
        let account = Account { id: id.to_owned(), label: "Lab".to_owned(), base_url: self.lab.api(provider) };
        let kept = self.keeper.keep(place, provider, &account, &self.lab.grant(provider)).await.unwrap();
        assert!(kept.is_some(), "the grant is kept");
        let authorised = json!({ "account_id": id, "account_label": "Lab" });
        app.command(place.tenant, "connections.connection.record_authorised", place.connection.0, &authorised).await;
    }
}

/// As each service has it.
pub(crate) fn vault(pool: &PgPool) -> Vault {
    Vault::start(pool.clone(), Arc::new(LocalKeys::new(&KEK.to_owned().into(), &[]).unwrap()))
}

fn oauth(lab: &Lab, provider: &str) -> OAuth {
    OAuth::new(&settings(lab, provider)).unwrap()
}

fn of_quickbooks(lab: &Lab) -> OAuth {
    oauth(lab, "quickbooks").ending_at(&format!("{}/v2/oauth2/tokens/revoke", lab.api("quickbooks")))
}

fn settings(lab: &Lab, provider: &str) -> OAuthSettings {
    OAuthSettings {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned().into(),
        authorise_url: format!("{}/authorize", lab.api(provider)),
        token_url: format!("{}/token", lab.api(provider)),
        scopes: vec!["offline_access".to_owned()],
        redirect_url: format!("{PUBLIC}/v1/connect/callback"),
    }
}

/// Budgets that no test uses up by the way.
fn wide() -> Rules {
    Rules { budgets: vec![Budget { name: "minute", span: Duration::from_secs(60), most: 100_000 }], at_once: 50 }
}
