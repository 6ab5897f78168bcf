//! The session beside a build: BuildKit calls back through it for the source, the secrets and registry credentials.
//!
//! The client library opens a session of its own that knows neither files nor secrets. This one is an upgraded connection
//! to the engine's `/session`, on which we are the gRPC server.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::{Health, HealthServer};
use bollard::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard::moby::filesync::packet::file_sync_server::FileSyncServer;
use bollard::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use devopser_core::{ErrorKind, Result, Secret};
use futures::{Stream, StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

use super::error::{answered, broken, named};
use super::filesync::Files;
use crate::docker::context::BuildFolder;

/// The methods that the engine may call.
const METHODS: [&str; 3] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
];
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(20);

/// A session that lasts until it is dropped.
#[derive(Debug)]
pub(crate) struct BuildSession {
    pub(super) id: String,
    _end: DropGuard,
}

impl BuildSession {
    /// Opens a session. `shared_key` names the copy of the source that the engine keeps, so that only what changed is
    /// sent again.
    pub(crate) async fn open(
        socket: &Path,
        id: String,
        shared_key: &str,
        folder: Arc<BuildFolder>,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<Self> {
        let mut headers = format!(
            "Connection: Upgrade\r\nUpgrade: h2c\r\nX-Docker-Expose-Session-Uuid: {id}\r\n\
             X-Docker-Expose-Session-Name: devopser\r\nX-Docker-Expose-Session-Sharedkey: {shared_key}\r\n"
        );
        for method in METHODS {
            headers.push_str("X-Docker-Expose-Session-Grpc-Method: ");
            headers.push_str(method);
            headers.push_str("\r\n");
        }
        let (status, connection) = post(socket, "/session", &headers).await?;
        if status != 101 {
            return Err(answered(
                "session",
                status,
                "the engine refused a build session",
            ));
        }
        let end = CancellationToken::new();
        let ended = end.clone().cancelled_owned();
        let server = tonic::transport::Server::builder()
            .add_service(HealthServer::new(Alive))
            .add_service(AuthServer::new(Anonymous))
            .add_service(SecretsServer::new(Kept(secrets)))
            .add_service(FileSyncServer::new(Files::new(folder)))
            .serve_with_incoming_shutdown(
                stream::iter([Ok::<_, std::io::Error>(connection)]).chain(stream::pending()),
                ended,
            );
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::debug!(%error, "the session of a build ended");
            }
        });
        Ok(Self {
            id,
            _end: end.drop_guard(),
        })
    }
}

/// Sends a request without a body over a connection of its own; returns the status and the connection behind the head.
pub(super) async fn post(socket: &Path, path: &str, headers: &str) -> Result<(u16, UnixStream)> {
    let asked = async {
        let mut connection = UnixStream::connect(socket).await?;
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).await?;
        // Byte by byte: what follows the head belongs to the next protocol.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 16_384 {
            head.push(connection.read_u8().await?);
        }
        let status = String::from_utf8_lossy(&head)
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Ok::<_, std::io::Error>((status, connection))
    };
    tokio::time::timeout(UPGRADE_TIMEOUT, asked)
        .await
        .map_err(|_| {
            named(
                path,
                ErrorKind::Timeout,
                "the Docker engine did not answer in time",
            )
        })?
        .map_err(|e| broken(socket, path, e))
}

type Answer<T> = std::result::Result<Response<T>, Status>;

/// Tells the engine that the session is alive.
#[derive(Debug)]
struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    async fn check(&self, _request: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving as i32,
        }))
    }

    async fn list(&self, _request: Request<HealthListRequest>) -> Answer<HealthListResponse> {
        Err(Status::unimplemented("list"))
    }

    type WatchStream =
        Pin<Box<dyn Stream<Item = std::result::Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, _request: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("watch"))
    }
}

/// Registries are asked without credentials, as an engine without a login does.
#[derive(Debug)]
struct Anonymous;

#[tonic::async_trait]
impl Auth for Anonymous {
    async fn credentials(
        &self,
        _request: Request<CredentialsRequest>,
    ) -> Answer<CredentialsResponse> {
        Ok(Response::new(CredentialsResponse::default()))
    }

    async fn fetch_token(
        &self,
        _request: Request<FetchTokenRequest>,
    ) -> Answer<FetchTokenResponse> {
        Err(Status::unimplemented("fetch_token"))
    }

    async fn get_token_authority(
        &self,
        _request: Request<GetTokenAuthorityRequest>,
    ) -> Answer<GetTokenAuthorityResponse> {
        Err(Status::unimplemented("get_token_authority"))
    }

    async fn verify_token_authority(
        &self,
        _request: Request<VerifyTokenAuthorityRequest>,
    ) -> Answer<VerifyTokenAuthorityResponse> {
        Err(Status::unimplemented("verify_token_authority"))
    }
}

/// The secrets that the build may mount.
#[derive(Debug)]
struct Kept(BTreeMap<String, Secret>);

#[tonic::async_trait]
impl Secrets for Kept {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Answer<GetSecretResponse> {
        match self.0.get(&request.get_ref().id) {
            Some(secret) => Ok(Response::new(GetSecretResponse {
                data: secret.expose().as_bytes().to_vec(),
            })),
            None => Err(Status::not_found(format!(
                "no secret with the id {}",
                request.get_ref().id
            ))),
        }
    }
}
