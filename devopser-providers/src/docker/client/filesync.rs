//! Sends the source to BuildKit: the `fsutil` protocol, as the sender.
//!
//! We tell every path with its metadata; the engine compares with the copy that it has and asks for the content of what
//! differs. Paths come in the order of a depth-first walk with sorted names; ids count them from 0.

use std::pin::Pin;
use std::sync::Arc;

use bollard::fsutil::types::packet::PacketType;
use bollard::fsutil::types::{Packet, Stat};
use bollard::moby::filesync::packet::file_sync_server::FileSync;
use futures::channel::mpsc;
use futures::{SinkExt, Stream, StreamExt};
use tokio::io::AsyncReadExt;
use tonic::{Request, Response, Status, Streaming};

use crate::docker::context::{BuildFolder, Entry, EntryKind};

const CHUNK: usize = 64 * 1024;

type Sender = mpsc::Sender<std::result::Result<Packet, Status>>;

/// Serves the two folders that a build knows: `context`, and `dockerfile` with the one file.
#[derive(Debug)]
pub(super) struct Files {
    folder: Arc<BuildFolder>,
}

impl Files {
    pub(super) fn new(folder: Arc<BuildFolder>) -> Self {
        Self { folder }
    }
}

#[tonic::async_trait]
impl FileSync for Files {
    type DiffCopyStream = Pin<Box<dyn Stream<Item = std::result::Result<Packet, Status>> + Send>>;
    type TarStreamStream = Self::DiffCopyStream;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> std::result::Result<Response<Self::DiffCopyStream>, Status> {
        let name = request
            .metadata()
            .get("dir-name")
            .and_then(|name| name.to_str().ok())
            .unwrap_or("context")
            .to_owned();
        let wanted = request
            .metadata()
            .get_all("include-patterns")
            .iter()
            .filter_map(|pattern| pattern.to_str().ok())
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let source = Source::of(&self.folder, &name, &wanted)
            .ok_or_else(|| Status::not_found(format!("no folder \"{name}\"")))?;
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            let mut failed = sender.clone();
            if let Err(status) = send(source, request.into_inner(), sender).await {
                // Nobody listens any more when the build was ended.
                let _ = failed.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(receiver)))
    }

    async fn tar_stream(
        &self,
        _request: Request<Streaming<Packet>>,
    ) -> std::result::Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("tar_stream"))
    }
}

/// What is sent.
#[derive(Debug)]
enum Source {
    Folder(Arc<BuildFolder>),
    Dockerfile(Arc<BuildFolder>),
    Nothing,
}

impl Source {
    fn of(folder: &Arc<BuildFolder>, name: &str, wanted: &[String]) -> Option<Self> {
        match name {
            "dockerfile" => Some(Self::Dockerfile(Arc::clone(folder))),
            // Asked first, for itself alone. What it names was left out already.
            "context" if wanted == [".dockerignore"] => Some(Self::Nothing),
            "context" => Some(Self::Folder(Arc::clone(folder))),
            _ => None,
        }
    }

    fn stats(&self) -> Vec<Stat> {
        match self {
            Self::Folder(folder) => folder.entries.iter().map(stat).collect(),
            Self::Dockerfile(folder) => vec![Stat {
                path: "Dockerfile".into(),
                mode: 0o644,
                size: i64::try_from(folder.dockerfile.len()).unwrap_or(i64::MAX),
                mod_time: folder.dockerfile_time,
                ..Stat::default()
            }],
            Self::Nothing => Vec::new(),
        }
    }
}

fn stat(entry: &Entry) -> Stat {
    // The bits of Go's os.FileMode, not of Unix.
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    let (mode, linkname, size) = match &entry.kind {
        EntryKind::Folder => (DIRECTORY | entry.mode, String::new(), 0),
        EntryKind::Link(target) => (SYMLINK | 0o777, target.clone(), 0),
        EntryKind::File(size) => (entry.mode, String::new(), *size),
    };
    Stat {
        path: entry.path.clone(),
        mode,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mod_time: entry.time_nanos,
        linkname,
        ..Stat::default()
    }
}

fn packet(kind: PacketType) -> Packet {
    Packet {
        r#type: kind as i32,
        ..Packet::default()
    }
}

async fn send(
    source: Source,
    mut asked: Streaming<Packet>,
    mut sender: Sender,
) -> std::result::Result<(), Status> {
    // Requests are read while paths are told: neither side may wait for the other with a full window.
    let (ids, mut wanted) = mpsc::unbounded();
    tokio::spawn(async move {
        while let Some(Ok(packet)) = asked.next().await {
            let id = match PacketType::try_from(packet.r#type) {
                Ok(PacketType::PacketReq) => Some(packet.id),
                Ok(PacketType::PacketFin) => None,
                _ => continue,
            };
            if ids.unbounded_send(id).is_err() || id.is_none() {
                return;
            }
        }
    });
    for stat in source.stats() {
        let told = Packet {
            stat: Some(stat),
            ..packet(PacketType::PacketStat)
        };
        push(&mut sender, told).await?;
    }
    push(&mut sender, packet(PacketType::PacketStat)).await?;
    while let Some(Some(id)) = wanted.next().await {
        send_content(&source, id, &mut sender).await?;
    }
    push(&mut sender, packet(PacketType::PacketFin)).await
}

async fn push(sender: &mut Sender, packet: Packet) -> std::result::Result<(), Status> {
    sender
        .send(Ok(packet))
        .await
        .map_err(|_| Status::cancelled("the build ended"))
}

async fn send_content(
    source: &Source,
    id: u32,
    sender: &mut Sender,
) -> std::result::Result<(), Status> {
    let data = |bytes: &[u8]| Packet {
        id,
        data: bytes.to_vec(),
        ..packet(PacketType::PacketData)
    };
    match source {
        Source::Dockerfile(folder) => {
            for part in folder.dockerfile.as_bytes().chunks(CHUNK) {
                push(sender, data(part)).await?;
            }
        }
        Source::Folder(folder) => {
            let entry = folder
                .entries
                .get(id as usize)
                .filter(|entry| matches!(entry.kind, EntryKind::File(_)))
                .ok_or_else(|| Status::invalid_argument("no such file"))?;
            let unreadable =
                |e: std::io::Error| Status::unavailable(format!("{}: {e}", entry.path));
            let mut file = folder.open(entry).await.map_err(unreadable)?;
            let mut buffer = vec![0; CHUNK];
            loop {
                let read = file.read(&mut buffer).await.map_err(unreadable)?;
                if read == 0 {
                    break;
                }
                push(sender, data(&buffer[..read])).await?;
            }
        }
        Source::Nothing => {}
    }
    // An empty piece ends the file.
    push(sender, data(&[])).await
}
