//! The one place that turns our aggregates into `cqrs-es` ones.

use crate::{Aggregate, Context, Event, read_event};
use cqrs_es::event_sink::EventSink;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Our aggregate as `cqrs-es` sees it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent, bound = "A: Aggregate")]
pub struct Root<A>(pub A);

/// A command together with its context, because `cqrs-es` hands a handler nothing else.
pub type RootCommand<A> = (<A as Aggregate>::Command, Context);

/// Our event as `cqrs-es` sees it; serialises as `{"type", "version", "payload"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct RootEvent<E>(pub E);

impl<A: Aggregate> cqrs_es::Aggregate for Root<A> {
    const TYPE: &'static str = <A::Event as Event>::STREAM;
    type Command = RootCommand<A>;
    type Event = RootEvent<A::Event>;
    type Error = A::Rejection;
    type Services = ();

    async fn handle(
        &mut self,
        (command, ctx): Self::Command,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), A::Rejection> {
        for event in self.0.decide(command, &ctx)? {
            sink.write(RootEvent(event), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.0.apply(&event.0);
    }
}

impl<E: Event> cqrs_es::DomainEvent for RootEvent<E> {
    fn event_type(&self) -> String {
        self.0.entry().event_type.to_owned()
    }

    fn event_version(&self) -> String {
        self.0.entry().version.to_string()
    }
}

#[derive(Serialize)]
struct Written<'a, E> {
    r#type: &'a str,
    version: u32,
    payload: &'a E,
}

#[derive(Deserialize)]
struct Read {
    r#type: String,
    version: u32,
    payload: serde_json::Value,
}

impl<E: Event> Serialize for RootEvent<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.0.entry();
        Written { r#type: entry.event_type, version: entry.version, payload: &self.0 }.serialize(serializer)
    }
}

impl<'de, E: Event> Deserialize<'de> for RootEvent<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        read_event(&read.r#type, read.version, &read.payload.to_string()).map(Self).map_err(D::Error::custom)
    }
}
