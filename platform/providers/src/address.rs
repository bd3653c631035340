//! Where something is at a provider.

use url::Url;

/// The address of something: what is in a step of the path is never taken for a path, and nothing of the query for more of it.
pub fn address(base: &str, path: &[&str], query: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse(base) else { return base.to_owned() };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_path_stays_in_its_place() {
        let found = address("https://api.example/v2", &["Contacts", "a/../b?c"], &[("where", "Name==\"x&y\"")]);
        assert_eq!(found, "https://api.example/v2/Contacts/a%2F..%2Fb%3Fc?where=Name%3D%3D%22x%26y%22");
        assert_eq!(address("https://api.example/", &["a"], &[]), "https://api.example/a");
    }
}
