//! Folders that the router serves itself.

use std::fs;
use std::path::Path;

use devopser_core::model::service::Upstream;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::*;

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &[u8]| {
        let path = folder.path().join("site").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("index.html", b"<h1>home</h1>");
    write("app.js", b"0123456789");
    write("large.bin", &vec![b'x'; 3 << 20]);
    write("empty.txt", b"");
    write("docs/index.html", b"docs");
    write(".env", b"SECRET");
    fs::write(folder.path().join("outside.txt"), "SECRET").unwrap();
    std::os::unix::fs::symlink("../outside.txt", folder.path().join("site/link.txt")).unwrap();
    folder
}

fn folder(path: &Path, single_page_app: bool) -> Upstream {
    Upstream::Folder {
        path: path.join("site"),
        single_page_app,
    }
}

#[tokio::test]
async fn files_have_their_kind_and_are_not_sent_twice() {
    let site = site();
    let (_router, port) = routed(folder(site.path(), false)).await;
    let mut client = Client::connect(port).await;
    for (path, kind, length) in [
        ("/", "text/html; charset=utf-8", 13),
        ("/app.js?v=1", "text/javascript; charset=utf-8", 10),
        ("/large.bin", "application/octet-stream", 3 << 20),
        ("/empty.txt", "text/plain; charset=utf-8", 0),
    ] {
        let (response, body) = client.get(path).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], kind, "{path}");
        assert_eq!(body.len(), length, "{path}");
        for (name, known) in [
            ("if-none-match", "etag"),
            ("if-modified-since", "last-modified"),
        ] {
            let known = response.headers()[known].clone();
            let request = request(path).header(name, known).body(full("")).unwrap();
            let again = client.send(request).await.unwrap();
            assert_eq!(again.status(), 304, "{path} {name}");
            assert!(
                again
                    .into_body()
                    .collect()
                    .await
                    .unwrap()
                    .to_bytes()
                    .is_empty()
            );
        }
        let head = request(path).method("HEAD").body(full("")).unwrap();
        let head = client.send(head).await.unwrap();
        assert_eq!(
            head.headers()["content-length"],
            length.to_string(),
            "{path}"
        );
    }
    let (response, _) = client.get("/docs?a=1").await.unwrap();
    assert_eq!(response.status(), 308);
    assert_eq!(response.headers()["location"], "/docs/?a=1");
    let post = request("/").method("POST").body(full("")).unwrap();
    assert_eq!(client.send(post).await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_part_of_a_file_can_be_asked_for() {
    let site = site();
    let (_router, port) = routed(folder(site.path(), false)).await;
    let mut client = Client::connect(port).await;
    let tag = client.get("/app.js").await.unwrap().0.headers()["etag"].clone();
    for (range, if_range, status, text) in [
        ("bytes=2-4", None, 206, "234"),
        ("bytes=-3", None, 206, "789"),
        ("bytes=8-", Some(tag.to_str().unwrap()), 206, "89"),
        ("bytes=8-", Some("\"other\""), 200, "0123456789"),
        ("bytes=0-1,3-4", None, 200, "0123456789"),
        ("bytes=10-", None, 416, ""),
    ] {
        let mut request = request("/app.js").header("range", range);
        if let Some(tag) = if_range {
            request = request.header("if-range", tag);
        }
        let response = client.send(request.body(full("")).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{range}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, text, "{range}");
    }
    let request = request("/large.bin").header("range", "bytes=1048576-2097151");
    let response = client.send(request.body(full("")).unwrap()).await.unwrap();
    assert_eq!(
        response.headers()["content-range"],
        "bytes 1048576-2097151/3145728"
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), 1 << 20);
}

/// Sends the path as it is: clients tidy it up.
async fn raw(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn nothing_outside_of_the_folder_and_nothing_hidden_is_sent() {
    let site = site();
    for single_page_app in [false, true] {
        let (_router, port) = routed(folder(site.path(), single_page_app)).await;
        for path in [
            "/../outside.txt",
            "/docs/../../outside.txt",
            "/%2e%2e/outside.txt",
            "/%2E%2E%2Foutside.txt",
            "/..%2foutside.txt",
            "/.%2e/outside.txt",
            "//../outside.txt",
            "/link.txt",
            "/.env",
            "/%2eenv",
            "/docs/..%2f.env",
            "http://a/../outside.txt",
        ] {
            let answer = raw(port, path).await;
            assert!(!answer.contains("SECRET"), "{path}: {answer}");
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        }
        let answer = raw(port, "//docs").await;
        assert!(answer.contains("location: /docs/\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn unknown_paths_are_the_apps_page_or_the_sites_404() {
    let site = site();
    let (_router, port) = routed(folder(site.path(), true)).await;
    assert_eq!(get(port, "/any/page").await, (200, "<h1>home</h1>".into()));
    assert_eq!(get(port, "/gone.js").await.0, 404);
    let (_router, port) = routed(folder(site.path(), false)).await;
    assert!(get(port, "/any/page").await.1.contains("There is no page"));
    fs::write(site.path().join("site/404.html"), "lost").unwrap();
    assert_eq!(get(port, "/any/page").await, (404, "lost".into()));
}

#[tokio::test]
async fn a_new_release_with_files_of_the_same_time_and_size_is_seen() {
    let site = site();
    let old = std::time::SystemTime::UNIX_EPOCH;
    let same = |text: &str, name: &str| {
        let folder = site.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("index.html"), text).unwrap();
        let file = fs::File::options()
            .write(true)
            .open(folder.join("index.html"))
            .unwrap();
        file.set_modified(old).unwrap();
        Upstream::Folder {
            path: folder,
            single_page_app: false,
        }
    };
    let mut tags = Vec::new();
    for upstream in [same("aaa", "one"), same("bbb", "two")] {
        let (_router, port) = routed(upstream).await;
        let (response, _) = Client::connect(port).await.get("/").await.unwrap();
        tags.push(response.headers()["etag"].clone());
    }
    assert_ne!(tags[0], tags[1]);
}
