//! The attribute that makes a read table of a struct: it moves what the struct says already into constants.

use crate::doc_sentence;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Fields, GenericArgument, Ident, ItemStruct, LitStr, PathArguments, Result, Token, Type};
use syn::{parenthesized, token};

/// What every row has: nobody declares it.
const COMMON: [&str; 6] = ["tenant_id", "position", "id", "version", "created_at", "updated_at"];

/// How a row says what it belongs to, and which variant of `Tie` that is.
const TIES: [(&str, &str); 15] = [
    ("client", "Client"),
    ("staff_client", "StaffClient"),
    ("clients", "Clients"),
    ("client_ids", "ClientIds"),
    ("client_of", "ClientOf"),
    ("engagement", "Engagement"),
    ("engagement_ids", "EngagementIds"),
    ("engagement_of", "EngagementOf"),
    ("shown_engagement", "ShownEngagement"),
    ("shown_engagement_of", "ShownEngagementOf"),
    ("staff_engagement", "StaffEngagement"),
    ("project", "Project"),
    ("project_ids", "ProjectIds"),
    ("user", "User"),
    ("portal_user", "PortalUser"),
];

/// Ties that another table of the same context says.
const OF_ANOTHER: [&str; 3] = ["client_of", "engagement_of", "shown_engagement_of"];

/// What lists can do with a column.
#[derive(Default, Clone, Copy)]
struct Uses {
    filter: bool,
    sort: bool,
}

impl Parse for Uses {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut uses = Self::default();
        for word in Punctuated::<Ident, Token![,]>::parse_terminated(input)? {
            match word.to_string().as_str() {
                "filter" => uses.filter = true,
                "sort" => uses.sort = true,
                _ => return Err(Error::new(word.span(), "expected `filter`, `sort` or both")),
            }
        }
        Ok(uses)
    }
}

/// A column of this table, and the table that it points to or the status that counts.
struct Named {
    column: Ident,
    status: Option<LitStr>,
    table: Option<LitStr>,
}

impl Parse for Named {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut named = Self { column: input.parse()?, status: None, table: None };
        if input.parse::<Option<Token![=]>>()?.is_some() {
            named.status = Some(input.parse()?);
        } else if input.parse::<Option<Token![,]>>()?.is_some() {
            named.table = Some(table_name(input.parse()?)?);
        }
        Ok(named)
    }
}

/// `client(owner_id)`.
struct Tie {
    kind: Ident,
    named: Named,
}

impl Parse for Tie {
    fn parse(input: ParseStream) -> Result<Self> {
        Ok(Self { kind: input.parse()?, named: inside(input)? })
    }
}

/// `#[read_model("crm.clients", read = "crm.client.read", …)]`.
pub(crate) struct Args {
    table: LitStr,
    read: LitStr,
    id: Option<Type>,
    path: Option<LitStr>,
    created_at: Uses,
    updated_at: Uses,
    ties: Vec<Tie>,
    away: Option<Named>,
    part_of: Option<Named>,
    beside: Option<Expr>,
    append_only: bool,
}

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        let table = table_name(input.parse()?)?;
        let mut read = None;
        let mut args = Self {
            read: table.clone(),
            table,
            id: None,
            path: None,
            created_at: Uses::default(),
            updated_at: Uses::default(),
            ties: vec![],
            away: None,
            part_of: None,
            beside: None,
            append_only: false,
        };
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "read" => read = Some(value(input)?),
                "id" => args.id = Some(value(input)?),
                "path" => args.path = Some(value(input)?),
                "created_at" => args.created_at = inside(input)?,
                "updated_at" => args.updated_at = inside(input)?,
                "ties" => {
                    let content;
                    parenthesized!(content in input);
                    args.ties = Punctuated::<Tie, Token![,]>::parse_terminated(&content)?.into_iter().collect();
                }
                "away" => args.away = Some(inside(input)?),
                "part_of" => args.part_of = Some(inside(input)?),
                "beside" => args.beside = Some(value(input)?),
                "append_only" => args.append_only = true,
                _ => {
                    let message = "expected `read`, `id`, `path`, `created_at`, `updated_at`, `ties`, `away`, `part_of`, `beside` or \
                                   `append_only`";
                    return Err(Error::new(key.span(), message));
                }
            }
        }
        let message = "say who may read it, for example `read = \"crm.client.read\"`";
        args.read = read.ok_or_else(|| Error::new(args.table.span(), message))?;
        Ok(args)
    }
}

fn value<T: Parse>(input: ParseStream) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn inside<T: Parse>(input: ParseStream) -> Result<T> {
    if !input.peek(token::Paren) {
        return Err(input.error("expected `(…)`"));
    }
    let content;
    parenthesized!(content in input);
    content.parse()
}

/// It becomes a schema, a table and a path.
fn table_name(name: LitStr) -> Result<LitStr> {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if name.value().split('.').count() != 2 || !name.value().split('.').all(word) {
        return Err(Error::new(name.span(), "expected \"context.table\", for example \"crm.clients\""));
    }
    Ok(name)
}

/// A column of the struct, and what lists can do with it.
struct Field {
    ident: Ident,
    uses: Uses,
}

pub(crate) fn expand(args: Args, mut item: ItemStruct) -> Result<Tokens> {
    let about = doc_sentence(&item.attrs);
    if about.is_empty() {
        let message = "say in one sentence what its rows are (a doc comment): the API's documentation says it too";
        return Err(Error::new_spanned(&item.ident, message));
    }
    let fields = fields(&mut item)?;
    let column = |named: &Named| {
        let name = named.column.to_string();
        if name == "id" || fields.iter().any(|field| field.ident == name) {
            return Ok(name);
        }
        Err(Error::new(named.column.span(), "the struct has no such column"))
    };
    let id = args.id.as_ref().map_or_else(|| quote!(::uuid::Uuid), |id| quote!(#id));
    let Args { table, read, created_at, updated_at, beside, append_only, .. } = &args;
    let path = match &args.path {
        Some(path) => path.value(),
        None => table.value().replace('.', "/").replace('_', "-"),
    };
    let of =
        |used: fn(&Uses) -> bool| fields.iter().filter(move |f| used(&f.uses)).map(|field| field.ident.to_string());
    let common = |used: fn(&Uses) -> bool| {
        [("created_at", created_at), ("updated_at", updated_at)].into_iter().filter(move |(_, uses)| used(uses))
    };
    let filter = of(|uses| uses.filter).chain(common(|uses| uses.filter).map(|(name, _)| name.to_owned()));
    // Every list can be told by when its rows were added: that is its order unless another is asked for.
    let others = updated_at.sort.then(|| "updated_at".to_owned());
    let sort = of(|uses| uses.sort).chain(["created_at".to_owned()]).chain(others);
    let ties = args.ties.iter().map(|tie| expand_tie(tie, &column)).collect::<Result<Vec<_>>>()?;
    let away = match &args.away {
        None => quote!(None),
        Some(named) => {
            let name = column(named)?;
            match (&named.status, &named.table) {
                (Some(status), _) if name == "status" => quote!(Some(::projections::Away::Status(#status))),
                (Some(_), _) => return Err(Error::new(named.column.span(), "expected `status = \"…\"`")),
                (None, Some(table)) => {
                    quote!(Some(::projections::Away::Of { column: #name, table: #table }))
                }
                (None, None) => quote!(Some(::projections::Away::Column(#name))),
            }
        }
    };
    let part_of = match &args.part_of {
        None => quote!(None),
        Some(named) => {
            let (name, Some(table)) = (column(named)?, &named.table) else {
                let message = "say in which table that is, for example `part_of(project_id, \"projects.projects\")`";
                return Err(Error::new(named.column.span(), message));
            };
            quote!(Some(::projections::PartOf { column: #name, table: #table }))
        }
    };
    let beside = beside.as_ref().map_or_else(|| quote!(&[]), |beside| quote!(#beside));
    let ident = &item.ident;
    Ok(quote! {
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        #item
        impl ::projections::ReadModel for #ident {
            type Id = #id;
            const TABLE: &'static str = #table;
            const PATH: &'static str = #path;
            const READ: &'static str = #read;
            const ABOUT: &'static str = #about;
            const FILTER: &'static [&'static str] = &[#(#filter),*];
            const SORT: &'static [&'static str] = &[#(#sort),*];
            const TIES: &'static [::projections::Tie] = &[#(#ties),*];
            const AWAY: Option<::projections::Away> = #away;
            const PART_OF: Option<::projections::PartOf> = #part_of;
            const BESIDE: &'static [::projections::Beside] = #beside;
            const APPEND_ONLY: bool = #append_only;
        }
    })
}

/// The columns, with our helper attribute taken off them.
fn fields(item: &mut ItemStruct) -> Result<Vec<Field>> {
    let Fields::Named(named) = &mut item.fields else {
        return Err(Error::new_spanned(&item.ident, "name the fields: they are the table's columns"));
    };
    let mut fields = vec![];
    for field in &mut named.named {
        let Some(ident) = field.ident.clone() else { continue };
        if COMMON.iter().any(|common| ident == common) {
            return Err(Error::new(ident.span(), "every row has this column: leave it out"));
        }
        if doc_sentence(&field.attrs).is_empty() {
            return Err(Error::new(ident.span(), "say in one sentence what this column holds (a doc comment)"));
        }
        let mut uses = Uses::default();
        for attr in field.attrs.extract_if(.., |attr| attr.path().is_ident("column")) {
            uses = attr.parse_args()?;
        }
        if uses.sort && is_option(&field.ty) {
            let message =
                "a list cannot begin its next page after nothing: only a column that is never null can be sorted by";
            return Err(Error::new(ident.span(), message));
        }
        fields.push(Field { ident, uses });
    }
    Ok(fields)
}

fn expand_tie(tie: &Tie, column: &impl Fn(&Named) -> Result<String>) -> Result<Tokens> {
    let (name, kind) = (column(&tie.named)?, tie.kind.to_string());
    let Some((_, variant)) = TIES.iter().find(|(known, _)| *known == kind) else {
        let known: Vec<&str> = TIES.iter().map(|(known, _)| *known).collect();
        return Err(Error::new(tie.kind.span(), format!("expected one of {}", known.join(", "))));
    };
    let variant = Ident::new(variant, tie.kind.span());
    match &tie.named.table {
        Some(table) if OF_ANOTHER.contains(&kind.as_str()) => {
            Ok(quote!(::projections::Tie::#variant { column: #name, table: #table }))
        }
        None if !OF_ANOTHER.contains(&kind.as_str()) => Ok(quote!(::projections::Tie::#variant(#name))),
        _ => Err(Error::new(
            tie.kind.span(),
            "ties that end in `_of` name a table too, and only these: `client_of(project_id, \"…\")`",
        )),
    }
}

fn is_option(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| {
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return false };
        last.ident == "Option" && matches!(arguments.args.first(), Some(GenericArgument::Type(_)))
    })
}
