//! The app: a small server that does what a test asks it for.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// Not a test: what runs when this program is started as an app.
#[test]
fn play_app() {
    if std::env::var("ROLE").as_deref() != Ok("app") {
        return;
    }
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let host = std::env::var("LISTEN").unwrap_or("127.0.0.1".into());
    let port = match std::env::var("OTHER_PORT") {
        Ok(other) => other.parse().unwrap(),
        Err(_) => port,
    };
    println!("listening on {port}");
    eprintln!("a word on standard error");
    let listener = TcpListener::bind((host.as_str(), port)).unwrap();
    for stream in listener.incoming() {
        answer(stream.unwrap());
    }
}

fn answer(mut stream: TcpStream) {
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    let text = match line.split(' ').nth(1).unwrap_or_default() {
        "/pid" => std::process::id().to_string(),
        "/env" => {
            let mut env: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
            env.sort();
            env.join("\n")
        }
        "/files" => open_files(),
        "/child" => {
            // It leaves the group, as daemons do.
            let child = std::process::Command::new("setsid")
                .args(["sleep", "1000"])
                .spawn()
                .unwrap();
            child.id().to_string()
        }
        "/busy" => {
            std::thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
            String::new()
        }
        "/lines" => {
            for n in 0..100 {
                println!("line {n}");
            }
            String::new()
        }
        "/crash" => std::process::exit(3),
        _ => "hello".to_owned(),
    };
    let length = text.len();
    // The client may be gone, which is its business.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
}

fn open_files() -> String {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut files: Vec<String> = files
        .flatten()
        .filter_map(|file| {
            let link = std::fs::read_link(file.path()).ok()?;
            Some(link.display().to_string())
        })
        .filter(|link| !link.starts_with("/proc/"))
        .collect();
    files.sort();
    files.join("\n")
}
