//! The pages that the router answers itself.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::body::AnswerBody;

/// Says on each answer of the router's own why it is not the app's.
const REASON: HeaderName = HeaderName::from_static("x-devopser-router");

/// Why the router answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    UnknownHost,
    Stopped,
    Refused,
    Broken,
    TimedOut,
    NoSuchFile,
    MethodNotAllowed,
    Unreadable,
}

impl Reason {
    const fn status(self) -> StatusCode {
        match self {
            Self::UnknownHost | Self::NoSuchFile => StatusCode::NOT_FOUND,
            Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused | Self::Broken => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unreadable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word in the header, the title, the text.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::UnknownHost => (
                "unknown-host",
                "No app here",
                "No app answers to this host name.",
            ),
            Self::Stopped => (
                "stopped",
                "This app is stopped",
                "It answers again as soon as it is started.",
            ),
            Self::Refused => (
                "refused",
                "This app does not answer",
                "It refused the connection: it may be starting, or it ended. Its log says more.",
            ),
            Self::Broken => (
                "broken",
                "This app broke off",
                "It closed the connection before it answered. Its log says more.",
            ),
            Self::TimedOut => (
                "timed-out",
                "This app takes too long",
                "It did not take the connection in time. Its log says more.",
            ),
            Self::NoSuchFile => (
                "no-such-file",
                "Not found",
                "There is no page at this address.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                "Not allowed",
                "Files can only be read.",
            ),
            Self::Unreadable => (
                "unreadable",
                "Not readable",
                "The file is there but cannot be read.",
            ),
        }
    }
}

/// The page of a reason. It needs nothing from elsewhere and is never cached.
pub(super) fn page(reason: Reason) -> Response<AnswerBody> {
    let (word, title, text) = reason.words();
    let status = reason.status();
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;\
         max-width:32rem;margin:20vh auto;padding:0 1rem;color:#222;background:#fff}}p{{color:#555}}\
         @media(prefers-color-scheme:dark){{body{{color:#eee;background:#111}}p{{color:#aaa}}}}</style>\
         <h1>{title}</h1><p>{text}</p><p>{status}</p></html>\n"
    );
    let length = HeaderValue::from(html.len());
    let mut response = Response::new(AnswerBody::bytes(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(word));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    match reason {
        Reason::Stopped | Reason::Refused => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        Reason::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => {}
    }
    response
}
