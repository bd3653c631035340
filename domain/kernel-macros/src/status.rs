//! The attribute that makes a catalogued status of an enum.

use crate::{doc_sentence, snake_case};
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Error, Fields, ItemEnum, Result};

pub(crate) fn expand(item: ItemEnum) -> Result<Tokens> {
    let ident = &item.ident;
    let (mut all, mut arms, mut entries) = (vec![], vec![], vec![]);
    for (index, variant) in item.variants.iter().enumerate() {
        let (name, summary) = (&variant.ident, doc_sentence(&variant.attrs));
        if summary.is_empty() {
            return Err(Error::new_spanned(variant, "say in one sentence what this status means (a doc comment)"));
        }
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(&variant.fields, "a status is a word: what goes with it is in the events"));
        }
        let word = snake_case(&name.to_string());
        all.push(quote!(Self::#name));
        arms.push(quote!(Self::#name => #index,));
        entries.push(quote!(::kernel::StatusEntry { name: #word, summary: #summary }));
    }
    Ok(quote! {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[derive(::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema, ::kernel::Input)]
        #[serde(rename_all = "snake_case")]
        #item
        impl ::kernel::Status for #ident {
            const ALL: &'static [Self] = &[#(#all),*];
            fn entry(self) -> &'static ::kernel::StatusEntry {
                const ENTRIES: &[::kernel::StatusEntry] = &[#(#entries),*];
                &ENTRIES[match self { #(#arms)* }]
            }
        }
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(::kernel::Status::as_str(*self))
            }
        }
    })
}
