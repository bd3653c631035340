//! What the settings of a world say that is connected with providers.

use local_servers::S3;

/// Both providers as `integrations/lab` knows us. Where they are asked is each connection's; nobody agrees and no grant is refreshed at
/// these addresses.
const PROVIDERS: &str = r#"[providers.docusign]
client_id = "ubos-lab"
client_secret = "a secret of the lab"
webhook_key = "a webhook key of the lab"
authorise_url = "http://127.0.0.1:1/authorize"
token_url = "http://127.0.0.1:1/token"
userinfo_url = "http://127.0.0.1:1/userinfo"
[providers.xero]
client_id = "ubos-lab"
client_secret = "a secret of the lab"
webhook_key = "a webhook key of the lab"
authorise_url = "http://127.0.0.1:1/authorize"
token_url = "http://127.0.0.1:1/token"
api_url = "http://127.0.0.1:1"
"#;

/// The settings of a world with files and providers.
pub fn settings(S3 { url, bucket, access_key, secret_key, .. }: &S3) -> String {
    format!(
        "{PROVIDERS}[objects]\nendpoint = \"{url}\"\nbucket = \"{bucket}\"\naccess_key = \"{access_key}\"\n\
         secret_key = \"{secret_key}\"\npath_style = true\n"
    )
}
