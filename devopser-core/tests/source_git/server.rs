//! Servers that refuse, redirect or are not there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use devopser_core::{ErrorKind, Secret};

use super::Place;

/// Answers every request with `answer`, and keeps what was asked.
fn server(answer: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 8192];
            let read = stream.read(&mut buffer).unwrap();
            kept.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
            stream
                .write_all(
                    format!("HTTP/1.1 {answer}\r\nContent-Length: 19\r\nConnection: close\r\n\r\n<html>\nlogin</html>")
                        .as_bytes(),
                )
                .unwrap();
        }
    });
    (port, asked)
}

#[tokio::test]
async fn the_server_gets_the_credential_and_nobody_else() {
    let place = Place::new();
    let (port, asked) = server("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"");
    let mut request = place.request_to(&format!("http://127.0.0.1:{port}/sentinel-path"), None);
    let arguments = place.folder.path().join("arguments");
    request.program = place.script(&format!(
        "echo \"$@\" >> {}\nenv >&2\nexec git \"$@\"",
        arguments.display()
    ));
    request.credential = Some(Secret::new("sentinel-token"));
    let error = place.refusal(&request).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    // "x-access-token:sentinel-token"
    let encoded = "eC1hY2Nlc3MtdG9rZW46c2VudGluZWwtdG9rZW4=";
    assert!(
        asked
            .lock()
            .unwrap()
            .contains(&format!("Authorization: Basic {encoded}"))
    );
    let arguments = fs::read_to_string(arguments).unwrap();
    let told = place.told.text();
    assert!(
        arguments.contains("sentinel-path") && told.contains("GIT_CONFIG_VALUE_0=***"),
        "{told}"
    );
    let report = serde_json::to_string(&error.to_report()).unwrap();
    for text in [arguments, told, report, format!("{error:?} {request:?}")] {
        assert!(
            !text.contains("sentinel-token") && !text.contains(encoded),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_credential_away() {
    let place = Place::new();
    let (other, asked_other) = server("404 Not Found");
    let answer = format!(
        "302 Found\r\nLocation: http://127.0.0.1:{other}/a/info/refs?service=git-upload-pack"
    );
    let (port, _) = server(answer.leak());
    let mut request = place.request_to(&format!("http://127.0.0.1:{port}/a"), None);
    request.credential = Some(Secret::new("sentinel-token"));
    place.refusal(&request).await;
    assert_eq!(*asked_other.lock().unwrap(), "");
    request.credential = None;
    let error = place.refusal(&request).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(asked_other.lock().unwrap().starts_with("GET /a/info/refs"));
}

#[tokio::test]
async fn failures_of_the_server_are_told_apart() {
    let place = Place::new();
    for (answer, kind) in [
        (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"",
            ErrorKind::Unauthenticated,
        ),
        ("403 Forbidden", ErrorKind::PermissionDenied),
        ("404 Not Found", ErrorKind::NotFound),
        ("503 Service Unavailable", ErrorKind::Unavailable),
        ("200 OK\r\nContent-Type: text/html", ErrorKind::NotFound),
    ] {
        let (port, _) = server(answer);
        let error = place
            .refusal(&place.request_to(&format!("http://127.0.0.1:{port}/a"), None))
            .await;
        assert_eq!(error.kind(), kind, "{answer}: {error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = place
        .refusal(&place.request_to(&format!("http://127.0.0.1:{closed}/a"), None))
        .await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
}
