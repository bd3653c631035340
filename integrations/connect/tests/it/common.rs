//! What these tests begin with.

use connections::Connection;
use connections_events::ConnectionStatus;
use harness::{Firm, Outside, TestApp};
use ports::Place;

/// A firm, and the outside.
pub async fn world() -> (TestApp, Firm, Outside) {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let outside = Outside::start(&app).await;
    (app, firm, outside)
}

/// Where a connection stands on the record.
pub async fn status(app: &TestApp, at: Place) -> ConnectionStatus {
    let (connection, _) = app.bus.store().load::<Connection>(at.tenant, at.connection.0).await.unwrap();
    connection.status()
}
