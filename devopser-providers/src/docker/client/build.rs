//! Builds.

use std::path::Path;
use std::time::Duration;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use devopser_core::Result;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::session::post;
use super::{BuildSession, Engine};
use crate::docker::model::{BuildEvent, BuildSpec, VertexEvent};

impl Engine {
    /// The engine's socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts a build with BuildKit and tells what goes on. The stream fails with what the build failed with. Dropping it
    /// ends the build.
    pub(crate) async fn build(
        &self,
        spec: BuildSpec,
        session: &BuildSession,
    ) -> Result<BoxStream<'static, Result<BuildEvent>>> {
        let build_id = spec.id.clone();
        // The client library opens a session without files and secrets for BuildKit; ours is open already. So it is asked
        // for the first builder, which opens none, and the request is turned to BuildKit.
        let docker = self
            .streaming()
            .await?
            .with_request_modifier(move |mut request| {
                let turned = request
                    .uri()
                    .to_string()
                    .replace("version=1", &format!("version=2&buildid={build_id}"));
                if let Ok(uri) = turned.parse() {
                    *request.uri_mut() = uri;
                }
                request
            });
        let options = BuildImageOptions {
            dockerfile: "Dockerfile".into(),
            target: spec.target.unwrap_or_default(),
            t: Some(spec.tag.as_str().to_owned()),
            remote: Some("client-session".into()),
            nocache: spec.no_cache,
            rm: true,
            buildargs: Some(spec.build_args.into_iter().collect()),
            labels: Some(spec.labels.into_iter().collect()),
            version: BuilderVersion::BuilderV1,
            session: Some(session.id.clone()),
            ..Default::default()
        };
        let socket = self.socket.clone();
        let answers: BoxStream<'static, _> = owned_answers(docker, options);
        Ok(answers
            .map_err(move |e| super::error::map(&socket, "build", e))
            .map_ok(|info| stream::iter(events(info).into_iter().map(Ok)))
            .try_flatten()
            .boxed())
    }

    /// Ends a build. One that ended is `Ok`.
    pub(crate) async fn cancel_build(&self, id: &str) -> Result<()> {
        let path = format!("/build/cancel?id={id}");
        post(&self.socket, &path, "Connection: close\r\n").await?;
        Ok(())
    }
}

/// The library's stream borrows its client; this one owns it.
fn owned_answers(
    docker: bollard::Docker,
    options: BuildImageOptions,
) -> BoxStream<'static, std::result::Result<BuildInfo, bollard::errors::Error>> {
    let (sender, receiver) = futures::channel::mpsc::channel(64);
    let run = async move {
        let mut sender = sender;
        let body = bollard::body_full(Vec::new().into());
        let mut answers = docker.build_image(options, None, Some(body));
        while let Some(answer) = answers.next().await {
            if futures::SinkExt::send(&mut sender, answer).await.is_err() {
                return;
            }
        }
    };
    // Both are polled by whoever reads; the answers end when the run does.
    stream::select(receiver.map(Some), stream::once(run).map(|()| None))
        .filter_map(|item| async move { item })
        .boxed()
}

fn events(info: BuildInfo) -> Vec<BuildEvent> {
    let Some(BuildInfoAux::BuildKit(status)) = info.aux else {
        return Vec::new();
    };
    let StatusResponse {
        vertexes,
        logs,
        warnings,
        ..
    } = status;
    let mut events: Vec<BuildEvent> = vertexes.into_iter().map(vertex).collect();
    events.extend(logs.into_iter().map(|log| BuildEvent::Output {
        vertex: log.vertex,
        is_error_stream: log.stream == 2,
        data: log.msg,
    }));
    events.extend(
        warnings.into_iter().map(|warning| {
            BuildEvent::Warning(String::from_utf8_lossy(&warning.short).into_owned())
        }),
    );
    events
}

fn vertex(vertex: Vertex) -> BuildEvent {
    let nanos = |seconds: i64, nanos: i32| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let started = vertex.started.as_ref().map(|t| nanos(t.seconds, t.nanos));
    let completed = vertex.completed.as_ref().map(|t| nanos(t.seconds, t.nanos));
    BuildEvent::Vertex(VertexEvent {
        digest: vertex.digest,
        name: vertex.name,
        started: started.is_some(),
        completed: completed.map(|end| {
            let took = end - started.unwrap_or(end);
            Duration::from_nanos(u64::try_from(took).unwrap_or(0))
        }),
        cached: vertex.cached,
        error: vertex.error,
    })
}
