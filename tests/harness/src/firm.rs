//! Firms, the people in them, and what they show.

use crate::TestApp;
use actix_web::test::TestRequest;
use chrono::{TimeDelta, Utc};
use credentials::{Credential, Directory, Standing};
use event_store::{Executed, Request};
use kernel::{Actor, PortalUserId, Principal, Reach, SessionId, TenantId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

/// A firm and its owner.
#[derive(Debug, Clone, Copy)]
pub struct Firm {
    /// Its id.
    pub tenant: Uuid,
    /// Who owns it.
    pub owner: Uuid,
}

impl Firm {
    /// One that nothing is known of yet.
    pub fn unheard_of() -> Self {
        Self { tenant: Uuid::now_v7(), owner: Uuid::now_v7() }
    }
}

impl From<Firm> for TenantId {
    fn from(firm: Firm) -> Self {
        TenantId(firm.tenant)
    }
}

/// A session in a browser.
#[derive(Debug, Clone)]
pub struct Session {
    /// `name=value`
    pub cookie: String,
    /// What our pages send with a change.
    pub csrf: String,
}

impl TestApp {
    /// A registered firm with an owner who has accepted.
    pub async fn register(&self, name: &str) -> Firm {
        let firm = Firm::unheard_of();
        self.join(firm, firm.owner, &[]).await;
        let register = json!({ "name": name, "owner_id": firm.owner });
        self.command(firm, "identity.tenant.register", firm.tenant, &register).await;
        firm
    }

    /// A user of the firm who has accepted.
    pub async fn join(&self, firm: Firm, user: Uuid, roles: &[&str]) {
        let invite = json!({ "email": format!("{user}@example.com"), "name": "A", "roles": roles });
        self.command(firm, "identity.user.invite", user, &invite).await;
        let (state, _) = self.bus.store().load::<identity::User>(firm.into(), user).await.unwrap();
        let accept = json!({ "invitation_id": state.invitation().unwrap() });
        self.command(firm, "identity.user.accept_invitation", user, &accept).await;
    }

    /// Gives a user a right, and waits until the services know that it reaches `permission`: what somebody may do is what the
    /// log said a moment ago.
    pub async fn grant(&self, firm: Firm, user: Uuid, grant: &Value, permission: &str) {
        self.command(firm, "identity.user.grant", user, grant).await;
        let credential = Credential::User(UserId(user));
        let known = async || match self.directory.look_up(firm.into(), &credential).await.unwrap() {
            Standing::In(_, held) => held.reach(permission) != Reach::Nothing,
            _ => false,
        };
        testing::eventually(known).await;
    }

    /// Done by the system.
    pub async fn command(&self, firm: impl Into<TenantId>, name: &str, id: Uuid, body: &Value) -> Executed {
        let info = *self.bus.command(name).unwrap_or_else(|| panic!("no command {name}"));
        let request = Request::new(firm.into(), Actor::System { name: "test".to_owned() });
        let done = self.bus.execute(&info, Some(id), body.to_string(), request).await;
        done.unwrap_or_else(|error| panic!("{name} {body}: {error}"))
    }

    /// A token of a user.
    pub fn token(&self, firm: Firm, user: Uuid) -> String {
        self.issuer.token(firm.tenant, user, &[])
    }

    /// A token of the firm's owner.
    pub fn owner(&self, firm: Firm) -> String {
        self.token(firm, firm.owner)
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.issuer.sign(claims)
    }

    /// A token of somebody who has these roles, if tokens say that.
    pub fn token_with(&self, tenant: impl Into<TenantId>, roles: &[&str]) -> String {
        self.issuer.token(tenant.into().0, Uuid::from_u128(7), roles)
    }

    /// A session of a user.
    pub async fn session(&self, firm: Firm, user: Uuid) -> Session {
        let id = Uuid::now_v7();
        let ends_at = Utc::now() + TimeDelta::hours(1);
        let start = json!({ "user_id": user, "issuer": crate::PROVIDERS[0], "ends_at": ends_at });
        self.command(firm, "identity.session.start", id, &start).await;
        self.kept_session(firm, Principal::User { id: UserId(user) }, id).await
    }

    /// A person at a client who has accepted, and has a right there.
    pub async fn let_into_portal(&self, firm: Firm, person: Uuid, client: Uuid, email: &str, pattern: &str) {
        let create = json!({ "name": "Ada", "client_id": client, "email": email });
        self.command(firm, "portal.portal_user.create", person, &create).await;
        self.command(firm, "portal.portal_user.grant", person, &json!({ "pattern": pattern })).await;
        self.command(firm, "portal.portal_user.invite", person, &json!({})).await;
        let (state, _) = self.bus.store().load::<portal::PortalUser>(firm.into(), person).await.unwrap();
        let accept = json!({ "invitation_id": state.invitation().unwrap() });
        self.command(firm, "portal.portal_user.accept_invitation", person, &accept).await;
    }

    /// A session of a person at a client.
    pub async fn portal_session(&self, firm: Firm, person: Uuid, client: Uuid) -> Session {
        let id = Uuid::now_v7();
        let ends_at = Utc::now() + TimeDelta::minutes(10);
        let start = json!({ "portal_user_id": person, "client_id": client, "ends_at": ends_at });
        self.command(firm, "portal.portal_session.start", id, &start).await;
        self.kept_session(firm, Principal::PortalUser { id: PortalUserId(person) }, id).await
    }

    /// A session that stands in Redis, whatever the log says.
    pub async fn kept_session(&self, firm: Firm, principal: Principal, id: Uuid) -> Session {
        let (cookie, _) = self.sessions.start(SessionId(id), firm.into(), principal).await.unwrap();
        let request = TestRequest::default().cookie(cookie.clone()).to_http_request();
        let kept = self.sessions.find(&web::session::shown(&request).unwrap()).await.unwrap().unwrap();
        Session { cookie: format!("{}={}", cookie.name(), cookie.value()), csrf: kept.csrf_token }
    }
}
