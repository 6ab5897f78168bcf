//! Serves the files of a folder.

mod find;
mod kind;
mod range;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::body::{AnswerBody, FileBody};
use super::pages::{Reason, page};
use super::table::InFlight;
use find::Found;
use range::Wanted;

/// Files up to this size are read at once.
const SMALL: u64 = 128 * 1024;

/// A file that was opened, with what is sent of it.
struct Opened {
    file: File,
    kind: &'static str,
    status: StatusCode,
    length: u64,
    changed: SystemTime,
    tag: String,
}

/// What the disk gave; all of it is got in one go off the async threads.
enum Looked {
    Answer(Opened, Option<Wanted>, Option<Bytes>),
    Redirect(String),
    Nothing,
    Unreadable,
}

/// Answers `request` from `folder`.
pub(super) async fn serve<B: Sync>(
    in_flight: InFlight,
    request: &Request<B>,
    folder: PathBuf,
    single_page_app: bool,
) -> Response<AnswerBody> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return page(Reason::MethodNotAllowed);
    }
    let head = request.method() == Method::HEAD;
    let headers = conditions(request.headers());
    let (path, query) = (
        request.uri().path().to_owned(),
        request.uri().query().map(str::to_owned),
    );
    let looked = tokio::task::spawn_blocking(move || {
        let found = find::find(&folder, &path, single_page_app);
        look(found, &path, query.as_deref(), &headers, head)
    });
    match looked.await {
        Ok(Looked::Answer(opened, wanted, bytes)) => {
            answer(opened, wanted, bytes, request.headers(), head, in_flight)
        }
        Ok(Looked::Redirect(to)) => redirect(&to),
        Ok(Looked::Nothing) => page(Reason::NoSuchFile),
        Ok(Looked::Unreadable) | Err(_) => page(Reason::Unreadable),
    }
}

/// The headers that decide what is sent.
fn conditions(headers: &HeaderMap) -> HeaderMap {
    let mut some = HeaderMap::new();
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE] {
        if let Some(value) = headers.get(&name) {
            some.insert(name, value.clone());
        }
    }
    some
}

fn look(found: Found, path: &str, query: Option<&str>, headers: &HeaderMap, head: bool) -> Looked {
    let (path, status) = match found {
        Found::File(path) => (path, StatusCode::OK),
        Found::NotFoundPage(path) => (path, StatusCode::NOT_FOUND),
        Found::Folder => return Looked::Redirect(with_slash(path, query)),
        Found::Nothing => return Looked::Nothing,
    };
    let Ok(mut opened) = open(&path, status) else {
        return Looked::Unreadable;
    };
    let wanted = wanted(&opened, headers);
    let size = wanted.as_ref().map_or(opened.length, Wanted::length);
    if head || not_modified(&opened, headers) {
        return Looked::Answer(opened, wanted, None);
    }
    let start = wanted.as_ref().map_or(0, Wanted::start);
    if start > 0 && opened.file.seek(SeekFrom::Start(start)).is_err() {
        return Looked::Unreadable;
    }
    if size > SMALL {
        return Looked::Answer(opened, wanted, None);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    match opened.file.read_exact(&mut bytes) {
        Ok(()) => Looked::Answer(opened, wanted, Some(bytes.into())),
        Err(_) => Looked::Unreadable,
    }
}

fn open(path: &std::path::Path, status: StatusCode) -> std::io::Result<Opened> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // Not the time of the last change of the content: a build can set that to any value, such as the same for all
    // releases. This one the file system sets.
    let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
    let nanoseconds = metadata.ctime_nsec();
    Ok(Opened {
        tag: format!(
            "\"{seconds:x}-{nanoseconds:x}-{:x}-{:x}\"",
            metadata.ino(),
            metadata.len()
        ),
        kind: kind::of(path),
        length: metadata.len(),
        changed: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        file,
        status,
    })
}

/// The part that is asked for, when one is and the file is still the one that the client knows.
fn wanted(opened: &Opened, headers: &HeaderMap) -> Option<Wanted> {
    if opened.status != StatusCode::OK {
        return None;
    }
    let range = headers.get(RANGE)?.to_str().ok()?;
    if let Some(known) = headers.get(IF_RANGE) {
        let known = known.to_str().ok()?;
        let same_date = || httpdate::parse_http_date(known).is_ok_and(|at| at == opened.changed);
        if known != opened.tag && !same_date() {
            return None;
        }
    }
    range::parse(range, opened.length)
}

fn not_modified(opened: &Opened, headers: &HeaderMap) -> bool {
    if opened.status != StatusCode::OK {
        return false;
    }
    if let Some(tags) = headers.get(IF_NONE_MATCH) {
        return tags.to_str().is_ok_and(|tags| {
            tags.split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == "*" || tag == opened.tag)
        });
    }
    headers
        .get(IF_MODIFIED_SINCE)
        .and_then(|since| since.to_str().ok())
        .and_then(|since| httpdate::parse_http_date(since).ok())
        .is_some_and(|since| opened.changed <= since)
}

fn answer(
    opened: Opened,
    wanted: Option<Wanted>,
    bytes: Option<Bytes>,
    asked: &HeaderMap,
    head: bool,
    in_flight: InFlight,
) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(""));
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Always asked for again, so that a new release is seen at once; what is unchanged answers 304.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(opened.kind));
    insert(
        headers,
        LAST_MODIFIED,
        &httpdate::fmt_http_date(opened.changed),
    );
    insert(headers, ETAG, &opened.tag);
    if not_modified(&opened, asked) {
        headers.remove(CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let size = match &wanted {
        None => opened.length,
        Some(Wanted::Part { start, length }) => {
            let end = start + length - 1;
            insert(
                headers,
                CONTENT_RANGE,
                &format!("bytes {start}-{end}/{}", opened.length),
            );
            *length
        }
        Some(Wanted::Outside) => {
            insert(
                headers,
                CONTENT_RANGE,
                &format!("bytes */{}", opened.length),
            );
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return response;
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    *response.status_mut() = if wanted.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        opened.status
    };
    if !head {
        *response.body_mut() = match bytes {
            Some(bytes) => AnswerBody::Bytes(Full::new(bytes)),
            None => AnswerBody::File(FileBody::new(opened.file, size, in_flight)),
        };
    }
    response
}

fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The path of a folder with its slash at the end. One slash at the beginning, or it would name another host.
fn with_slash(path: &str, query: Option<&str>) -> String {
    let path = path.trim_start_matches('/');
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    format!("/{path}/{query}")
}

fn redirect(to: &str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(""));
    insert(response.headers_mut(), LOCATION, to);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(0));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
