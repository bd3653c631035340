//! What proposals and contracts have in common: what they say, and when their last day is over.

use crate::template::Template;
use agreements_events::{MergeValue, TemplateKind, TemplateVersion};
use chrono::{NaiveTime, TimeDelta, TimeZone as _};
use kernel::{Context, Date, Keyed as _, Markdown, Reference, Slug, TemplateId, Timestamp};

/// Why a template makes no paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPaper {
    /// There is none with this key.
    Unknown,
    /// It is retired.
    Retired,
    /// It makes other papers.
    OtherKind,
    /// What it is to be filled in with does not fit.
    Fields,
}

/// The template with this key, to be looked at by a decision.
pub(crate) fn wanted(template: &Slug) -> Reference {
    Template::by_key(template)
}

/// What the template says with these values, and which version of it that was.
pub(crate) fn made(
    template: Slug,
    fields: &[MergeValue],
    kind: TemplateKind,
    ctx: &Context,
) -> Result<(Markdown, TemplateVersion), NoPaper> {
    let (id, found) = Template::with_key(&template, ctx).ok_or(NoPaper::Unknown)?;
    if found.is_retired() {
        return Err(NoPaper::Retired);
    }
    if found.kind() != kind {
        return Err(NoPaper::OtherKind);
    }
    let body = found.filled(fields).ok_or(NoPaper::Fields)?;
    Ok((body, TemplateVersion { id: TemplateId(id), key: template, version: found.version() }))
}

/// When the day is over for the firm: the first moment of the next one, also where clocks skip midnight.
pub(crate) fn end_of(day: Date, ctx: &Context) -> Timestamp {
    let Some(next) = day.checked_add_days(1) else { return Timestamp::MAX };
    let midnight = next.and_time(NaiveTime::MIN);
    // No gap is longer than a day, and most are an hour.
    let moments = (0..=96).map(|quarters| midnight + TimeDelta::minutes(15 * quarters));
    let first = moments.filter_map(|local| ctx.time_zone.from_local_datetime(&local).earliest()).next();
    first.map_or(Timestamp::MAX, |at| Timestamp::of_clock(at.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Actor, TenantId};
    use uuid::Uuid;

    #[test]
    fn a_day_is_over_when_the_firms_next_one_begins() {
        let mut ctx = Context::new(
            TenantId::default(),
            Actor::System { name: "spec".to_owned() },
            kernel::spec::spec_time(),
            Uuid::nil(),
            Uuid::nil(),
        );
        for (zone, day, end) in [
            ("UTC", "2026-11-30", "2026-12-01T00:00:00Z"),
            ("Europe/Berlin", "2026-11-30", "2026-11-30T23:00:00Z"),
            ("Pacific/Kiritimati", "2026-11-30", "2026-11-30T10:00:00Z"),
            // The clocks go forward at midnight there.
            ("America/Santiago", "2026-09-05", "2026-09-06T04:00:00Z"),
            ("UTC", "9999-12-31", "9999-12-31T23:59:59.999999Z"),
        ] {
            ctx.time_zone = zone.parse().unwrap();
            assert_eq!(end_of(day.parse().unwrap(), &ctx).to_string(), end, "{day} in {zone}");
        }
    }
}
