//! What is asked of deals besides their list: what they come to.

use crate::api::{Api, Way};
use crate::given::{Given, pairs};
use crate::operation::{Operation, found, min_position, problems, selection};
use crate::parameters::Selection;
use crate::question::{Needs, Question, read};
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, json};
use sqlx::types::{Json, JsonRawValue};

/// Whoever may read deals may count those that they may read.
const READ: &str = "crm.deal.read";

/// What deals come to, stage by stage.
pub(crate) struct Figures;

impl Question for Figures {
    const PATH: &'static str = "/v1/crm/deals/figures";
    const ID: &'static str = "crm.deal.figures";
    const READ: Needs<'static> = Needs::Permission(READ);
    const ABOUT: &'static str =
        "How many deals stand at each stage, what they are worth, and what as likely as each of them is won.";
    // Sums of bigint are numeric, so none is too large; and numeric is rounded half away from zero, as money is everywhere.
    const SQL: &'static str = "
        select json_build_object(
            'pipeline', r.pipeline, 'stage', r.stage, 'status', r.status, 'currency', r.currency, 'count', count(*),
            'value_minor', coalesce(sum(r.value_minor), 0),
            'weighted_minor', coalesce(round(sum(r.value_minor * case r.status
                when 'won' then 100 when 'lost' then 0 else r.probability end) / 100), 0))
        from crm.deals r where {selected}
        group by r.pipeline, r.stage, r.status, r.currency
        order by r.pipeline, r.stage, r.status, r.currency";
    type Row = (Json<Box<JsonRawValue>>,);
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route(Figures::PATH, web::get().to(figures));
}

async fn figures(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, table, rows) = api.table("crm", "deals", Way::List, &caller, &request).await?;
    RequestInfo::set_route(&request, Figures::PATH);
    let mut given = Given::of(&pairs(&request)?);
    let selection = Selection::take(table, &mut given);
    given.nothing_else("these figures have no such parameter")?;
    let _permit = api.admit(&caller).await?;
    let mut arguments: Vec<String> = vec![];
    let selected = selection.sql(table, &rows, &mut |value: &str| {
        arguments.push(value.to_owned());
        format!("($2)[{}]", arguments.len())
    });
    // So that the statement knows its argument, whatever was asked for.
    let sql = Figures::SQL.replace("{selected}", &format!("{} and $2::text[] is not null", selected.join(" and ")));
    let figures = read::<<Figures as Question>::Row>(&api, &caller, &sql, |asked| asked.bind(arguments)).await?;
    let data: Vec<Box<JsonRawValue>> = figures.into_iter().map(|(Json(figure),)| figure).collect();
    Ok(HttpResponse::Ok().json(Answer { data }))
}

/// The figures as they were read, digit by digit.
#[derive(serde::Serialize)]
struct Answer {
    data: Vec<Box<JsonRawValue>>,
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let Some((_, table, _)) = projections::resources().find(|(_, _, resource)| resource.path == "crm/deals") else {
        return;
    };
    let mut parameters = selection(table);
    parameters.push(min_position());
    let text = |about: &str| json!({ "type": "string", "description": about });
    let whole = |about: &str| json!({ "type": "integer", "description": about });
    let status = table.columns().iter().find(|column| column.name == "status").map(|column| &column.values);
    let currency = "The currency of the sums; null for deals whose value is not known.";
    let properties = json!({
        "pipeline": text("The key of the pipeline."),
        "stage": text("The key of the stage; not every one is still its pipeline's."),
        "status": { "type": "string", "enum": status, "description": "How they stand." },
        "currency": { "type": ["string", "null"], "description": currency },
        "count": { "type": "integer", "format": "int64", "minimum": 1, "description": "How many deals." },
        "value_minor": whole("What they are worth together, in minor units."),
        "weighted_minor": whole("The same, each as likely as it is won: one that was won whole, one that was lost not at all."),
    });
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    let about = "What the deals of one stage, status and currency come to.";
    let schema = json!({ "type": "object", "description": about, "required": required, "properties": properties });
    let figure = document.component("DealFigure", schema);
    let list =
        json!({ "type": "array", "items": figure, "description": "In the order of pipeline, stage and status." });
    let about = "What deals come to.";
    let schema =
        json!({ "type": "object", "description": about, "required": ["data"], "properties": { "data": list } });
    let figures = document.component("DealFigures", schema);
    let mut responses = found("The figures.", Map::from_iter([openapi::request_id()]), &figures);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "DealFigures", OWN));
    document.operation(Figures::PATH, "get", Operation::of::<Figures>(parameters).answered(responses));
}
