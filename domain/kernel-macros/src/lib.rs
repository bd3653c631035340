//! Turns an ordinary enum into a catalogued event, command or rejection type, and an ordinary struct into a read table.
//!
//! The attributes share one idea: a variant's name and its doc sentence are the only declaration, and everything
//! else (wire name, permission, route, schema, error code) derives from them. They stay attributes on real enums so that
//! rustfmt, go-to-definition and rename keep working. `README.md` shows an expansion.

mod input;
mod read_model;
mod status;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, Fields, Ident, ItemEnum, Lit, LitInt, LitStr, Meta, Result, Token, Variant};

/// Declares the events of one aggregate: `#[event("crm.client")]`, optionally `upcasters = UPCASTERS`.
///
/// Variant helpers: `#[version(2)]` (default 1), `#[name("task.completed")]` when the event speaks of a part of the
/// aggregate, `#[retired]` for an event that is no longer written but must stay readable.
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(args, item, expand_event)
}

/// Declares the commands of one aggregate, and whether every member of a firm may give them: `#[command("crm.client", member)]` or
/// `!member`. Variant helpers: `#[creates]`, `#[mints("ubk")]`,
/// `#[makes("task_id")]` for the parts of the aggregate whose ids the answer tells (`"task_id?"` if there may be none),
/// `#[tells("upload", UploadPlace)]` for what only the answer says, and
/// `#[refused(Blocked, "email.taken", "crm.client.blocked")]` with the rejections that it may meet, the claims that another may
/// hold, and the flags of other aggregates that forbid it.
#[proc_macro_attribute]
pub fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(args, item, expand_command)
}

/// Declares why an aggregate may refuse: `#[rejection("crm.client")]`. The doc sentence is the message for the user.
///
/// Variant helpers: `#[invalid("/starts_at")]` when the input itself is wrong (422) and names the field at fault; `#[audited]`
/// when it is about what the caller may do, so that the refusal is on the audit trail.
#[proc_macro_attribute]
pub fn rejection(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(args, item, expand_rejection)
}

/// Declares the statuses of an aggregate, or of a part of one: an enum of unit variants, each with a sentence, whose `#[default]` is
/// the one that it begins from. Its moves are an `impl kernel::Machine` beside it.
#[proc_macro_attribute]
pub fn status(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse::<syn::parse::Nothing>(args).and_then(|_| syn::parse(item)).and_then(status::expand);
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Declares a read table, whose columns are the struct's fields: `#[read_model("crm.clients", read = "crm.client.read")]`. The doc
/// sentence is what the API's documentation says. Its fold is an `impl projections::Fold` beside it.
///
/// A field's helper is `#[column(filter, sort)]`: what lists can do with it. Of what every row has, `created_at(filter)` and
/// `updated_at(filter, sort)` say the same. What a row belongs to is said by `ties(client(id), user(owner_id))`, how it says that
/// it was put away by `away(archived)`, `away(status = "disbanded")` or `away(project_id, "projects.projects")`, and of whose
/// aggregate it is a part by `part_of(project_id, "projects.projects")`. `id = ClientId` if it is not any
/// UUID, `path = "…"` if it is not the table's name, `beside = …` for
/// what no event says, `append_only` for rows that are written once.
#[proc_macro_attribute]
pub fn read_model(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse(args).and_then(|args| read_model::expand(args, syn::parse(item)?));
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Reads a struct with named fields, an enum of unit variants or an enum that is tagged inside from what somebody sent, and
/// says everything that is wrong with it. Knows serde's `default`, `rename_all = "snake_case"` and `tag`.
#[proc_macro_derive(Input, attributes(serde))]
pub fn input(item: TokenStream) -> TokenStream {
    let expanded = syn::parse(item).and_then(input::expand);
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

struct Args {
    stream: LitStr,
    upcasters: Option<Expr>,
    /// `member` or `!member`, if either is there.
    member: Option<(Ident, bool)>,
}

impl syn::parse::Parse for Args {
    fn parse(input: syn::parse::ParseStream) -> Result<Self> {
        let stream: LitStr = input.parse()?;
        // It becomes a NATS subject, a permission and a file name.
        let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if stream.value().split('.').count() != 2 || !stream.value().split('.').all(word) {
            return Err(Error::new(stream.span(), "expected \"context.aggregate\", for example \"crm.client\""));
        }
        let (mut upcasters, mut member) = (None, None);
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let is_denied = input.parse::<Option<Token![!]>>()?.is_some();
            let key: Ident = input.parse()?;
            if key == "member" {
                member = Some((key, !is_denied));
            } else if key == "upcasters" && !is_denied {
                input.parse::<Token![=]>()?;
                upcasters = Some(input.parse()?);
            } else {
                return Err(Error::new(key.span(), "expected `upcasters = …`, `member` or `!member`"));
            }
        }
        Ok(Args { stream, upcasters, member })
    }
}

impl Args {
    /// Rights are of commands: refuses a word on members anywhere else.
    fn is_of_nobody(&self) -> Result<()> {
        match &self.member {
            Some((word, _)) => Err(Error::new(word.span(), "only #[command] says what members may do")),
            None => Ok(()),
        }
    }
}

fn expand(args: TokenStream, item: TokenStream, with: fn(Args, ItemEnum) -> Result<Tokens>) -> TokenStream {
    let expanded = syn::parse(args).and_then(|args| Ok((args, syn::parse(item)?))).and_then(|(a, i)| with(a, i));
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// What one variant declares, with our helper attributes taken off it.
struct Entry {
    ident: Ident,
    snake: String,
    summary: String,
    version: u32,
    name: Option<String>,
    creates: bool,
    mints: Option<String>,
    makes: Vec<Tokens>,
    tells: Option<Tells>,
    /// Codes below the stream's name.
    refusals: Vec<String>,
    retired: bool,
    invalid: Option<String>,
    audited: bool,
    /// Name of the hidden struct that carries the variant's fields.
    body: Ident,
    body_fields: Tokens,
    field_names: Vec<Ident>,
}

/// A rejection by its variant's name, or any other code as it ends: `Blocked`, `"email.taken"`.
struct Why(String);

impl syn::parse::Parse for Why {
    fn parse(input: syn::parse::ParseStream) -> Result<Self> {
        if input.peek(LitStr) {
            return Ok(Why(input.parse::<LitStr>()?.value()));
        }
        Ok(Why(snake_case(&input.parse::<Ident>()?.to_string())))
    }
}

/// What an answer tells besides, and of what type it is: `"upload", UploadPlace`.
struct Tells(LitStr, syn::Type);

impl syn::parse::Parse for Tells {
    fn parse(input: syn::parse::ParseStream) -> Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![,]>()?;
        Ok(Tells(name, input.parse()?))
    }
}

/// Which attribute's variants take which helper.
const HELPERS: &[(&str, &str)] = &[
    ("version", "event"),
    ("name", "event"),
    ("retired", "event"),
    ("creates", "command"),
    ("mints", "command"),
    ("makes", "command"),
    ("tells", "command"),
    ("refused", "command"),
    ("invalid", "rejection"),
    ("audited", "rejection"),
];

fn entries(item: &mut ItemEnum, what: &str) -> Result<Vec<Entry>> {
    let outer = item.ident.clone();
    item.variants.iter_mut().map(|variant| entry(&outer, variant, what)).collect()
}

fn entry(outer: &Ident, variant: &mut Variant, what: &str) -> Result<Entry> {
    let summary = doc_sentence(&variant.attrs);
    if summary.is_empty() {
        return Err(Error::new_spanned(
            &*variant,
            format!("say in one sentence what this {what} means (a doc comment)"),
        ));
    }
    let mut entry = Entry {
        ident: variant.ident.clone(),
        snake: snake_case(&variant.ident.to_string()),
        summary,
        version: 1,
        name: None,
        creates: false,
        mints: None,
        makes: vec![],
        tells: None,
        refusals: vec![],
        retired: false,
        invalid: None,
        audited: false,
        body: format_ident!("__{}{}", outer, variant.ident),
        body_fields: Tokens::new(),
        field_names: vec![],
    };
    let (mut kept, mut made) = (vec![], vec![]);
    for attr in variant.attrs.drain(..) {
        let owner = HELPERS.iter().find(|(helper, _)| attr.path().is_ident(helper)).map_or(what, |(_, owner)| owner);
        if owner != what {
            return Err(Error::new_spanned(&attr, format!("only a variant of #[{owner}] takes this attribute")));
        }
        if attr.path().is_ident("version") {
            let version: LitInt = attr.parse_args()?;
            entry.version = version.base10_parse()?;
            if entry.version == 0 {
                return Err(Error::new_spanned(version, "versions count from 1"));
            }
        } else if attr.path().is_ident("name") {
            entry.name = Some(attr.parse_args::<LitStr>()?.value());
        } else if attr.path().is_ident("creates") {
            entry.creates = true;
        } else if attr.path().is_ident("mints") {
            entry.mints = Some(attr.parse_args::<LitStr>()?.value());
        } else if attr.path().is_ident("makes") {
            made = attr.parse_args_with(Punctuated::<LitStr, Token![,]>::parse_terminated)?.into_iter().collect();
        } else if attr.path().is_ident("tells") {
            entry.tells = Some(attr.parse_args()?);
        } else if attr.path().is_ident("refused") {
            let why = attr.parse_args_with(Punctuated::<Why, Token![,]>::parse_terminated)?;
            entry.refusals.extend(why.into_iter().map(|Why(code)| code));
        } else if attr.path().is_ident("retired") {
            entry.retired = true;
        } else if attr.path().is_ident("invalid") {
            entry.invalid = Some(attr.parse_args::<LitStr>()?.value());
        } else if attr.path().is_ident("audited") {
            entry.audited = true;
        } else {
            kept.push(attr);
        }
    }
    variant.attrs = kept;
    match &variant.fields {
        // A payload is always an object, so that it can gain fields without a new version.
        Fields::Unit if what != "rejection" => {
            return Err(Error::new_spanned(
                &*variant,
                "write `Variant {}`: its payload is an object, today an empty one",
            ));
        }
        Fields::Unit => {}
        Fields::Named(named) => {
            let fields = named.named.iter();
            entry.body_fields = quote!(#(#fields,)*);
            entry.field_names = named.named.iter().filter_map(|f| f.ident.clone()).collect();
        }
        Fields::Unnamed(_) => {
            return Err(Error::new_spanned(&*variant, "name the fields: they are part of the published schema"));
        }
    }
    for name in made {
        let (text, always) = match name.value().strip_suffix('?') {
            Some(text) => (text.to_owned(), false),
            None => (name.value(), true),
        };
        // Whoever repeats the command without a key says with it which part is meant.
        let is_field = || entry.field_names.iter().any(|field| *field == text);
        if !(text.ends_with("_ids") || text.ends_with("_id") && is_field()) {
            let message = "expected a list, such as \"task_ids\", or one of the fields, such as \"task_id\"";
            return Err(Error::new_spanned(name, message));
        }
        entry.makes.push(quote!(::kernel::PartEntry { name: #text, always: #always }));
    }
    Ok(entry)
}

fn expand_event(args: Args, mut item: ItemEnum) -> Result<Tokens> {
    args.is_of_nobody()?;
    let entries = entries(&mut item, "event")?;
    let ident = &item.ident;
    let stream = &args.stream;
    let (context, aggregate) = split(stream);
    let event_types: Vec<String> =
        entries.iter().map(|e| e.name.clone().unwrap_or_else(|| format!("{aggregate}.{}", e.snake))).collect();
    let names = event_types.iter().map(|t| format!("{context}.{t}"));
    let bodies = entries.iter().map(|e| body(e, ident, false));
    let catalogue = entries.iter().zip(&event_types).zip(names).map(|((e, event_type), name)| {
        let (summary, version, retired, body) = (&e.summary, e.version, e.retired, &e.body);
        quote!(::kernel::EventEntry {
            stream: #stream, event_type: #event_type, name: #name, version: #version, summary: #summary, retired: #retired,
            schema: ::kernel::schema_of::<#body>,
        })
    });
    let index = index_arms(&entries);
    let reads = entries.iter().zip(&event_types).map(|(e, event_type)| {
        let make = from_body(e, ident, "read_fields");
        quote!(#event_type => { #make })
    });
    let upcasters = args.upcasters.map(|u| quote!(#u)).unwrap_or(quote!(&[]));
    Ok(quote! {
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize)]
        #[serde(untagged)]
        #item
        #(#bodies)*
        impl ::kernel::Event for #ident {
            const STREAM: &'static str = #stream;
            const CATALOGUE: &'static [::kernel::EventEntry] = &[#(#catalogue),*];
            const UPCASTERS: &'static [::kernel::Upcaster] = #upcasters;
            fn entry(&self) -> &'static ::kernel::EventEntry {
                &Self::CATALOGUE[match self { #(#index)* }]
            }
            fn read(event_type: &str, payload: &str) -> ::core::result::Result<Self, ::kernel::UnreadableEvent> {
                match event_type {
                    #(#reads)*
                    _ => Err(::kernel::UnreadableEvent::unknown(Self::STREAM, event_type)),
                }
            }
        }
    })
}

fn expand_command(args: Args, mut item: ItemEnum) -> Result<Tokens> {
    let Some((_, member)) = args.member else {
        let message = "say whether every member of a firm may give these commands: `#[command(\"crm.client\", member)]`, or `!member`";
        return Err(Error::new(args.stream.span(), message));
    };
    let entries = entries(&mut item, "command")?;
    let ident = &item.ident;
    let stream = &args.stream;
    let bodies = entries.iter().map(|e| body(e, ident, true));
    let catalogue = entries.iter().map(|e| {
        let (action, creates, summary, body) = (&e.snake, e.creates, &e.summary, &e.body);
        let mints = match &e.mints {
            Some(prefix) => quote!(Some(#prefix)),
            None => quote!(None),
        };
        let tells = match &e.tells {
            Some(Tells(name, of)) => {
                quote!(Some(::kernel::TellEntry { name: #name, component: ::kernel::component_of::<#of> }))
            }
            None => quote!(None),
        };
        let (name, makes) = (format!("{}.{}", stream.value(), e.snake), &e.makes);
        // What other aggregates say or hold is called by its whole name.
        let is_whole = |code: &str| code.matches('.').count() > 1;
        let refusals =
            e.refusals.iter().map(|code| if is_whole(code) { code.clone() } else { format!("{}.{code}", stream.value()) });
        quote!(::kernel::CommandEntry {
            stream: #stream, name: #name, action: #action, creates: #creates, member: #member, mints: #mints, makes: &[#(#makes),*],
            tells: #tells, summary: #summary,
            refusals: &[#(#refusals),*], schema: ::kernel::schema_of::<#body>, component: ::kernel::component_of::<#body>,
        })
    });
    let index = index_arms(&entries);
    let parses = entries.iter().map(|e| {
        let (action, make) = (&e.snake, from_body(e, ident, "read_input"));
        quote!(#action => { #make })
    });
    Ok(quote! {
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize)]
        #[serde(untagged)]
        #item
        #(#bodies)*
        impl ::kernel::Command for #ident {
            const STREAM: &'static str = #stream;
            const CATALOGUE: &'static [::kernel::CommandEntry] = &[#(#catalogue),*];
            fn entry(&self) -> &'static ::kernel::CommandEntry {
                &Self::CATALOGUE[match self { #(#index)* }]
            }
            fn parse(action: &str, payload: &str) -> ::core::result::Result<Self, ::kernel::FieldErrors> {
                match action {
                    #(#parses)*
                    _ => Err(::kernel::FieldError::new(
                        "", ::kernel::FieldCode::Unknown, format!("{} has no action {action:?}", Self::STREAM),
                    ).into()),
                }
            }
        }
    })
}

fn expand_rejection(args: Args, mut item: ItemEnum) -> Result<Tokens> {
    args.is_of_nobody()?;
    let entries = entries(&mut item, "rejection")?;
    let ident = &item.ident;
    let catalogue = entries.iter().map(|e| {
        let code = format!("{}.{}", args.stream.value(), e.snake);
        let message = &e.summary;
        let invalid = match &e.invalid {
            Some(pointer) => quote!(Some(#pointer)),
            None => quote!(None),
        };
        let audited = e.audited;
        quote!(::kernel::RejectionEntry { code: #code, message: #message, invalid: #invalid, audited: #audited })
    });
    let index = index_arms(&entries);
    Ok(quote! {
        #[derive(Debug, Clone, PartialEq, Eq)]
        #item
        impl ::kernel::Rejection for #ident {
            const CATALOGUE: &'static [::kernel::RejectionEntry] = &[#(#catalogue),*];
            fn entry(&self) -> &'static ::kernel::RejectionEntry {
                &Self::CATALOGUE[match self { #(#index)* }]
            }
        }
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(::kernel::Rejection::entry(self).message)
            }
        }
        impl ::core::error::Error for #ident {}
    })
}

/// The hidden struct that reads one variant's fields, so that an error names the field and not the enum.
fn body(entry: &Entry, outer: &Ident, strict: bool) -> Tokens {
    let (name, fields, summary) = (&entry.body, &entry.body_fields, &entry.summary);
    // Whoever generates a client sees it: `ClientRename`.
    let outer = outer.to_string();
    let title = format!("{}{}", outer.strip_suffix("Command").unwrap_or(&outer), entry.ident);
    let read = if strict { quote!(::kernel::Input) } else { quote!(::serde::Deserialize) };
    let deny = if strict { quote!(#[serde(deny_unknown_fields)]) } else { quote!() };
    quote! {
        #[doc(hidden)]
        #[doc = #summary]
        #[derive(#read, ::schemars::JsonSchema)]
        #[schemars(rename = #title)]
        #deny
        struct #name { #fields }
    }
}

fn from_body(entry: &Entry, outer: &Ident, reader: &str) -> Tokens {
    let reader = format_ident!("{reader}");
    let (body, variant, names) = (&entry.body, &entry.ident, &entry.field_names);
    let bind = if names.is_empty() { quote!(_body) } else { quote!(body) };
    quote!(let #bind: #body = ::kernel::#reader(payload)?; Ok(#outer::#variant { #(#names: body.#names),* }))
}

fn index_arms(entries: &[Entry]) -> Vec<Tokens> {
    let arms = entries.iter().enumerate().map(|(index, e)| {
        let variant = &e.ident;
        quote!(Self::#variant { .. } => #index,)
    });
    arms.collect()
}

fn split(stream: &LitStr) -> (String, String) {
    let value = stream.value();
    let (context, aggregate) = value.split_once('.').unwrap_or((&value, ""));
    (context.to_owned(), aggregate.to_owned())
}

/// The doc comment as one line of text.
fn doc_sentence(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
