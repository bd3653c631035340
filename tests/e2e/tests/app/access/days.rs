//! Which day it is for a firm: that of its clocks, in every service that decides.

use super::*;
use kernel::Date;

impl World {
    /// The first day of a project that is begun at this moment without saying when.
    async fn first_day(&self, now: &str) -> Date {
        let (id, info) = (Uuid::now_v7(), *self.bus.command("projects.project.create").unwrap());
        let request = Request::new(TenantId(self.tenant), Actor::System { name: "test".to_owned() });
        let request = Request { now: now.parse().unwrap(), ..request };
        self.bus.execute(&info, Some(id), json!({ "name": "Books" }).to_string(), request).await.unwrap();
        let log = self.bus.store().log(self.database.worker().await);
        let events = log.read_stream(TenantId(self.tenant), id, 0, i64::MAX).await.unwrap();
        let created: Value = serde_json::from_str(events[0].payload.get()).unwrap();
        created["starts_on"].as_str().unwrap().parse().unwrap()
    }
}

#[actix_web::test]
async fn a_project_begins_on_the_day_of_the_firms_clocks() {
    let world = World::new().await;
    let (before, after) = ("2026-11-02T09:59:59Z", "2026-11-02T10:00:00Z");
    assert_eq!(world.first_day(after).await.to_string(), "2026-11-02", "UTC, until the firm says otherwise");
    world.command("identity.tenant.set_time_zone", world.tenant, &json!({ "time_zone": "Pacific/Kiritimati" })).await;
    world.settled(async || world.first_day(after).await.to_string() == "2026-11-03").await;
    assert_eq!(world.first_day(before).await.to_string(), "2026-11-02");
    world.command("identity.tenant.set_time_zone", world.tenant, &json!({ "time_zone": "America/Los_Angeles" })).await;
    world.settled(async || world.first_day("2026-11-02T07:59:59Z").await.to_string() == "2026-11-01").await;
    assert_eq!(world.first_day("2026-11-02T08:00:00Z").await.to_string(), "2026-11-02");
}
