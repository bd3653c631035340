//! The derive that reads what somebody sent field by field.

use crate::snake_case;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, ExprPath, Fields, FieldsNamed, LitStr, Result, Token, Variant};

/// What serde's attributes say, as far as reading goes.
#[derive(Default)]
struct Serde {
    tag: Option<String>,
    snake_case: bool,
    default: Option<Tokens>,
}

impl Serde {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut said = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("tag") {
                    said.tag = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("rename_all") {
                    let case: LitStr = meta.value()?.parse()?;
                    if case.value() != "snake_case" {
                        return Err(Error::new(case.span(), "names are written in snake_case everywhere"));
                    }
                    said.snake_case = true;
                } else if meta.path.is_ident("default") {
                    said.default = Some(if meta.input.peek(Token![=]) {
                        let path: ExprPath = meta.value()?.parse::<LitStr>()?.parse()?;
                        quote!(#path)
                    } else {
                        quote!(::core::default::Default::default)
                    });
                } else if meta.path.is_ident("skip_serializing_if") {
                    // It is about writing.
                    meta.value()?.parse::<LitStr>()?;
                } else if !meta.path.is_ident("deny_unknown_fields") {
                    return Err(meta.error("an input is read without this"));
                }
                Ok(())
            })?;
        }
        Ok(said)
    }
}

pub(crate) fn expand(item: DeriveInput) -> Result<Tokens> {
    let ident = &item.ident;
    let serde = Serde::of(&item.attrs)?;
    let read = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                let (names, read) = (names(fields), object(fields, &quote!(#ident))?);
                quote!(let mut object = faults.object(value, &[#(#names),*])?; #read)
            }
            _ => return Err(Error::new(ident.span(), "expected named fields")),
        },
        Data::Enum(data) => variants(ident, &serde, &data.variants)?,
        Data::Union(_) => return Err(Error::new(ident.span(), "expected a struct or an enum")),
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::kernel::Input for #ident {
            #[allow(unused_mut, unused_variables)]
            fn read(value: ::kernel::__json::Value, faults: &mut ::kernel::Faults) -> ::core::option::Option<Self> {
                #read
            }
        }
    })
}

fn variants(ident: &syn::Ident, serde: &Serde, variants: &Punctuated<Variant, Token![,]>) -> Result<Tokens> {
    if !serde.snake_case {
        return Err(Error::new(ident.span(), "write #[serde(rename_all = \"snake_case\")]"));
    }
    let options: Vec<String> = variants.iter().map(|variant| snake_case(&variant.ident.to_string())).collect();
    let arms = variants.iter().enumerate().map(|(index, variant)| {
        let name = &variant.ident;
        match (&serde.tag, &variant.fields) {
            (None, Fields::Unit) => Ok(quote!(#index => Some(#ident::#name),)),
            (Some(tag), Fields::Named(fields)) => {
                let (mut known, read) = (names(fields), object(fields, &quote!(#ident::#name))?);
                known.push(tag.clone());
                Ok(quote!(#index => { faults.known(&object, &[#(#known),*]); #read }))
            }
            _ => Err(Error::new(variant.span(), "expected unit variants, or named fields and a tag")),
        }
    });
    let arms = arms.collect::<Result<Vec<_>>>()?;
    Ok(match &serde.tag {
        None => quote!(match faults.one_of(value, &[#(#options),*])? { #(#arms)* _ => None }),
        Some(tag) => quote! {
            let mut object = faults.any_object(value)?;
            match faults.tag(&mut object, #tag, &[#(#options),*])? { #(#arms)* _ => None }
        },
    })
}

fn names(fields: &FieldsNamed) -> Vec<String> {
    fields.named.iter().filter_map(|field| field.ident.as_ref()).map(ToString::to_string).collect()
}

/// Reads every field before the first that is wrong ends it.
fn object(fields: &FieldsNamed, make: &Tokens) -> Result<Tokens> {
    let (mut reads, mut members) = (vec![], vec![]);
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let (local, name) = (format_ident!("field_{ident}"), ident.to_string());
        reads.push(match Serde::of(&field.attrs)?.default {
            Some(default) => quote!(let #local = faults.field_or(&mut object, #name, #default);),
            None => quote!(let #local = faults.field(&mut object, #name);),
        });
        members.push(quote!(#ident: #local?));
    }
    Ok(quote!(#(#reads)* Some(#make { #(#members),* })))
}
