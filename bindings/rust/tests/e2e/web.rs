//! Fetching what an application answers.

use std::time::Duration;

/// A client as a host would make one. The addresses are plain HTTP on this machine; TLS is named because the client
/// asks for it.
pub(crate) fn client() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .expect("the client can be built")
}

/// The status and the text at `url`.
pub(crate) async fn fetch(
    client: &reqwest::Client,
    url: &str,
) -> Result<(u16, String), reqwest::Error> {
    let response = client.get(url).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await?))
}
