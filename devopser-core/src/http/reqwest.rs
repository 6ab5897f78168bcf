//! [`ReqwestTransport`]: the default transport. Nothing of reqwest or rustls shows outside this file.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use ::reqwest::redirect;
use async_trait::async_trait;
use futures::StreamExt;
use http::header::CONTENT_LENGTH;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::outbound::OutboundPolicy;
use super::request::{HttpRequest, RequestBody};
use super::response::HttpResponse;
use super::transport::{HttpTransport, TransportError, TransportErrorKind, TransportResult};
use crate::{Error, ErrorKind, Result};

/// Builds a [`ReqwestTransport`].
#[derive(Clone, Debug)]
pub struct ReqwestTransportBuilder {
    outbound: OutboundPolicy,
    connect_timeout: Duration,
    user_agent: String,
    roots: Option<Vec<u8>>,
    proxy: Option<String>,
}

impl ReqwestTransportBuilder {
    /// Sets where requests may go. Default: [`OutboundPolicy::public_only`].
    #[must_use]
    pub fn outbound(mut self, policy: OutboundPolicy) -> Self {
        self.outbound = policy;
        self
    }

    /// The longest time until a connection stands. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The `User-Agent`. Default: `devopser/` and the version.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Root certificates in PEM that are trusted in place of the system's.
    #[must_use]
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Sends everything through a proxy. The proxy then resolves the names, so only addresses that stand in a URL are
    /// checked here. Without this no proxy is used, whatever the environment says.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) for certificates, a user agent or a proxy that cannot be used.
    pub fn build(self) -> Result<ReqwestTransport> {
        let policy = Arc::new(self.outbound);
        let tls = tls_config(self.roots.as_deref())?;
        let mut builder = ::reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(self.connect_timeout)
            .user_agent(self.user_agent)
            .retry(::reqwest::retry::never())
            .redirect(redirects(&policy))
            .no_proxy();
        if let Some(url) = &self.proxy {
            let proxy =
                ::reqwest::Proxy::all(url).map_err(|error| misconfigured("proxy", error))?;
            builder = builder.proxy(proxy);
        } else {
            builder = builder.dns_resolver(GuardedResolver(Arc::clone(&policy)));
        }
        let client = builder
            .build()
            .map_err(|error| misconfigured("HTTP client", error))?;
        Ok(ReqwestTransport { client, policy })
    }
}

fn misconfigured(what: &str, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::ConfigInvalid,
        format!("the {what} cannot be used"),
    )
    .with_source(error)
}

/// TLS by rustls with the provider ring, given here and installed nowhere.
fn tls_config(roots: Option<&[u8]>) -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| misconfigured("TLS provider", error))?;
    if let Some(pem) = roots {
        let mut store = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| misconfigured("root certificates", error))?;
            store
                .add(certificate)
                .map_err(|error| misconfigured("root certificates", error))?;
        }
        return Ok(builder.with_root_certificates(store).with_no_client_auth());
    }
    match rustls_platform_verifier::Verifier::new(provider) {
        Ok(verifier) => Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()),
        // A system without certificates can still speak plain HTTP; every certificate is then refused.
        Err(_) => Ok(builder
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()),
    }
}

fn redirects(policy: &Arc<OutboundPolicy>) -> redirect::Policy {
    if policy.redirects() == 0 {
        return redirect::Policy::none();
    }
    let policy = Arc::clone(policy);
    redirect::Policy::custom(move |attempt| {
        let limit = usize::try_from(policy.redirects()).unwrap_or(usize::MAX);
        if attempt.previous().len() > limit {
            return attempt.stop();
        }
        let from_https = attempt
            .previous()
            .last()
            .is_some_and(|url| url.scheme() == "https");
        if from_https && attempt.url().scheme() != "https" {
            return attempt.error(Forbidden("a redirect leads from https to http".to_owned()));
        }
        match check_url(&policy, attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(error) => attempt.error(Forbidden(error.message().to_owned())),
        }
    })
}

fn check_url(policy: &OutboundPolicy, url: &::reqwest::Url) -> Result<()> {
    let has_user = !url.username().is_empty() || url.password().is_some();
    policy.check(url.scheme(), has_user, url.host_str().unwrap_or_default())
}

/// The policy forbids where a request leads.
#[derive(Debug)]
struct Forbidden(String);

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Forbidden {}

/// Resolves names and hands on only the addresses that the policy allows: the connection goes to what was checked.
#[derive(Debug)]
struct GuardedResolver(Arc<OutboundPolicy>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let trusted = policy.trusts_host(&host);
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .iter()
                .filter(|address| trusted || policy.allows_address(address.ip()))
                .copied()
                .collect();
            if let (Some(first), true) = (found.first(), allowed.is_empty()) {
                return Err(forbidden_address(&host, first.ip()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn forbidden_address(host: &str, address: IpAddr) -> Forbidden {
    Forbidden(format!(
        "{host} leads to {address}, which the policy for outgoing requests forbids"
    ))
}

/// The default transport: reqwest over rustls with ring. It reads no environment, follows no redirect unless told to, and
/// repeats nothing.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: ::reqwest::Client,
    policy: Arc<OutboundPolicy>,
}

impl ReqwestTransport {
    /// A builder with the defaults.
    #[must_use]
    pub fn builder() -> ReqwestTransportBuilder {
        ReqwestTransportBuilder {
            outbound: OutboundPolicy::public_only(),
            connect_timeout: Duration::from_secs(10),
            user_agent: concat!("devopser/", env!("CARGO_PKG_VERSION")).to_owned(),
            roots: None,
            proxy: None,
        }
    }

    fn prepare(&self, request: &HttpRequest) -> TransportResult<::reqwest::Request> {
        let url = ::reqwest::Url::parse(&request.url).map_err(|error| {
            TransportError::new(TransportErrorKind::Invalid, "the URL cannot be read")
                .with_source(error)
        })?;
        check_url(&self.policy, &url).map_err(|error| {
            TransportError::new(TransportErrorKind::Blocked, error.message().to_owned())
        })?;
        let mut prepared = ::reqwest::Request::new(request.method.clone(), url);
        *prepared.headers_mut() = request.headers.clone();
        *prepared.timeout_mut() = request.attempt_timeout;
        match &request.body {
            RequestBody::Empty => {}
            RequestBody::Bytes(bytes) => *prepared.body_mut() = Some(bytes.clone().into()),
            RequestBody::Stream { length, open } => {
                prepared
                    .headers_mut()
                    .insert(CONTENT_LENGTH, (*length).into());
                *prepared.body_mut() = Some(::reqwest::Body::wrap_stream(open()));
            }
        }
        Ok(prepared)
    }
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, request: &HttpRequest) -> TransportResult<HttpResponse> {
        let prepared = self.prepare(request)?;
        let response = self.client.execute(prepared).await.map_err(named)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = HttpResponse::new(status, headers, "");
        answer.body = response
            .bytes_stream()
            .map(|part| part.map_err(named))
            .boxed();
        Ok(answer)
    }
}

/// reqwest's error under its name here. The URL is taken out: it may hold credentials.
fn named(error: ::reqwest::Error) -> TransportError {
    let error = error.without_url();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    let (mut text, mut tls) = (String::new(), false);
    while let Some(current) = cause {
        if let Some(forbidden) = current.downcast_ref::<Forbidden>() {
            return TransportError::new(TransportErrorKind::Blocked, forbidden.0.clone());
        }
        tls = tls || is_certificate_error(current);
        text = current.to_string();
        cause = current.source();
    }
    // The innermost cause says what a person needs: "Connection refused", "certificate expired".
    let (kind, what) = if tls {
        (TransportErrorKind::Tls, "the certificate is not accepted")
    } else if error.is_connect() {
        (TransportErrorKind::Refused, "no connection")
    } else if error.is_timeout() {
        (TransportErrorKind::Timeout, "no answer in time")
    } else if error.is_builder() {
        (TransportErrorKind::Invalid, "the request cannot be sent")
    } else {
        (TransportErrorKind::Interrupted, "the connection broke")
    };
    TransportError::new(kind, format!("{what}: {text}")).with_source(error)
}

fn is_certificate_error(error: &(dyn StdError + 'static)) -> bool {
    let through_io = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let found = error.downcast_ref::<rustls::Error>().or(through_io);
    matches!(found, Some(rustls::Error::InvalidCertificate(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_when_it_is_resolved() {
        let resolve = |policy: OutboundPolicy| async move {
            let resolver = GuardedResolver(Arc::new(policy));
            resolver.resolve("localhost".parse().unwrap()).await
        };
        let error = resolve(OutboundPolicy::public_only()).await.err().unwrap();
        assert!(error.downcast_ref::<Forbidden>().is_some(), "{error}");
        let trusting = OutboundPolicy::public_only().allow_host("localhost");
        assert!(resolve(trusting).await.unwrap().next().is_some());
    }
}
