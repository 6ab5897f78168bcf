//! The HTTP plane over scripted answers and injected faults: what is sent how often, and when.
#![expect(clippy::unwrap_used, reason = "helpers of a test may unwrap")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::context;
use devopser_core::clock::{Clock, ManualClock};
use devopser_core::context::Lease;
use devopser_core::http::{
    Answer, FaultTransport, FixedJitter, HeaderName, HttpFault, HttpRequest, HttpTransport,
    ManualSleeper, Method, Plane, RateScope, RecordingTransport, RetryPolicy, ScriptedTransport,
    TokenBuckets, TransportErrorKind,
};
use devopser_core::id::ProviderId;
use devopser_core::secret::Redactor;
use devopser_core::{ErrorKind, Retry, Secret};

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

struct Rig {
    plane: Plane,
    script: Arc<ScriptedTransport>,
    sleeper: Arc<ManualSleeper>,
}

impl Rig {
    fn new(script: ScriptedTransport) -> Self {
        let script = Arc::new(script);
        let transport = Arc::<ScriptedTransport>::clone(&script);
        Self::over(script, transport)
    }

    fn over(script: Arc<ScriptedTransport>, transport: Arc<dyn HttpTransport>) -> Self {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let sleeper = Arc::new(ManualSleeper::new(Arc::clone(&clock)));
        let time: Arc<dyn Clock> = clock;
        let plane = Plane::new(transport).with_time(
            time,
            Arc::<ManualSleeper>::clone(&sleeper),
            Arc::new(FixedJitter(1.0)),
        );
        Self {
            plane,
            script,
            sleeper,
        }
    }

    fn with_faults(answers: usize, faults: &[(u32, HttpFault)]) -> Self {
        let script = (0..answers).fold(ScriptedTransport::new(), |script, _| {
            script.answer(Answer::text(200, "done"))
        });
        let script = Arc::new(script);
        let inner: Arc<dyn HttpTransport> = Arc::<ScriptedTransport>::clone(&script);
        let transport = FaultTransport::new(inner);
        for (nth, fault) in faults {
            transport.inject(*nth, fault.clone());
        }
        Self::over(script, Arc::new(transport))
    }

    fn waits(&self) -> Vec<u128> {
        self.sleeper
            .waits()
            .iter()
            .map(Duration::as_millis)
            .collect()
    }
}

#[tokio::test]
async fn an_idempotent_request_is_repeated_with_growing_waits() {
    let rig = Rig::new(
        ScriptedTransport::new()
            .answer(Answer::status(503))
            .answer(Answer::status(502))
            .answer(Answer::text(200, "done")),
    );
    let answer = rig
        .plane
        .fetch(&context(), HttpRequest::get("https://a/b"))
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, "done".into())
    );
    assert_eq!(rig.waits(), [500, 1000]);
}

#[tokio::test]
async fn a_post_is_sent_once_whatever_comes_back() {
    for status in [500, 502, 503, 504, 429, 408] {
        let rig = Rig::new(ScriptedTransport::new().answer(Answer::status(status)));
        let answer = rig
            .plane
            .fetch(&context(), HttpRequest::post("https://a/b"))
            .await
            .unwrap();
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.retry, Retry::Later { after: None });
        assert_eq!(rig.script.sent().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_post_that_was_never_sent_is_sent_again() {
    let rig = Rig::with_faults(1, &[(1, HttpFault::Refuse), (2, HttpFault::Refuse)]);
    rig.plane
        .fetch(&context(), HttpRequest::post("https://a/b"))
        .await
        .unwrap();
    assert_eq!(rig.script.sent().len(), 1);
}

#[tokio::test]
async fn a_post_that_may_have_happened_fails_and_says_so() {
    for fault in [
        HttpFault::ResetAfter,
        HttpFault::ResetBefore,
        HttpFault::Timeout,
    ] {
        let rig = Rig::with_faults(2, &[(1, fault.clone())]);
        let request = HttpRequest::post("https://a/b").operation("CreateApp");
        let error = rig.plane.fetch(&context(), request).await.unwrap_err();
        assert!(
            error
                .context()
                .contains(&("may_have_happened".into(), "true".into())),
            "{fault:?}"
        );
        assert_eq!(error.operation(), Some("CreateApp"));
        assert!(error.is_retryable());
        assert!(rig.script.sent().len() <= 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_sent_again() {
    let rig = Rig::with_faults(2, &[(1, HttpFault::ResetAfter)]);
    rig.plane
        .fetch(&context(), HttpRequest::put("https://a/b"))
        .await
        .unwrap();
    assert_eq!(rig.script.sent().len(), 2);
}

#[tokio::test]
async fn retry_after_is_waited_for_in_seconds_or_until_a_date() {
    let rig = Rig::new(
        ScriptedTransport::new()
            .answer(Answer::status(429).with_header(RETRY_AFTER, "7"))
            .answer(Answer::status(503).with_header(RETRY_AFTER, "Tue, 14 Nov 2023 22:13:57 GMT"))
            .answer(Answer::status(200)),
    );
    rig.plane
        .fetch(&context(), HttpRequest::get("https://a/b"))
        .await
        .unwrap();
    // 22:13:20 is the clock's beginning: 7.5 s later, 29.5 s are left until the date.
    assert_eq!(rig.waits(), [7_500, 30_000]);
}

#[tokio::test]
async fn a_long_retry_after_goes_to_the_caller() {
    let rig = Rig::new(
        ScriptedTransport::new().answer(Answer::status(429).with_header(RETRY_AFTER, "3600")),
    );
    let answer = rig
        .plane
        .fetch(&context(), HttpRequest::get("https://a/b"))
        .await
        .unwrap();
    let error = answer.to_error("too many requests");
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(
        error.retry(),
        Retry::Later {
            after: Some(Duration::from_secs(3600))
        }
    );
    assert!(rig.waits().is_empty());
}

#[tokio::test]
async fn attempts_end() {
    let rig = Rig::with_faults(0, &[1, 1, 1, 1].map(|n| (n, HttpFault::Status(503))));
    let answer = rig
        .plane
        .fetch(&context(), HttpRequest::get("https://a/b"))
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.retry),
        (503, Retry::Exhausted)
    );
    assert_eq!(rig.waits().len(), 3);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_fetched_again() {
    let rig = Rig::with_faults(2, &[(1, HttpFault::Truncate(2))]);
    let answer = rig
        .plane
        .fetch(&context(), HttpRequest::get("https://a/b"))
        .await
        .unwrap();
    assert_eq!(answer.text(), "done");

    let rig = Rig::with_faults(2, &[(1, HttpFault::Truncate(2))]);
    let answer = rig
        .plane
        .send(&context(), HttpRequest::get("https://a/b"))
        .await
        .unwrap();
    let error = answer.collect(100).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Interrupted);
    assert_eq!(rig.script.sent().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_and_not_asked_for_again() {
    let rig = Rig::with_faults(2, &[]);
    let plane = rig.plane.clone().with_body_limit(3);
    let error = plane
        .fetch(&context(), HttpRequest::get("https://a/b"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert_eq!(rig.script.sent().len(), 1);
}

#[tokio::test]
async fn an_attempt_ends_after_its_time() {
    let rig = Rig::new(
        ScriptedTransport::new()
            .answer(Answer::Hang)
            .answer(Answer::status(200)),
    );
    let request = HttpRequest::get("https://a/b").timeout(Duration::from_millis(20));
    let answer = rig.plane.fetch(&context(), request).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);

    let rig = Rig::new(ScriptedTransport::new().answer(Answer::Hang));
    let request = HttpRequest::post("https://a/b").timeout(Duration::from_millis(20));
    let error = rig.plane.fetch(&context(), request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_deadline_holds_over_all_attempts() {
    let rig = Rig::with_faults(0, &[1, 1, 1, 1].map(|n| (n, HttpFault::Status(503))));
    let request = HttpRequest::get("https://a/b").deadline(Duration::from_millis(1600));
    let answer = rig.plane.fetch(&context(), request).await.unwrap();
    assert_eq!(answer.retry, Retry::Exhausted);
    assert_eq!(rig.waits(), [500, 1000]);
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once() {
    let rig = Rig::new(ScriptedTransport::new().answer(Answer::Hang));
    let ctx = context();
    let cancel = ctx.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        cancel.cancel();
    });
    let error = rig
        .plane
        .fetch(&ctx, HttpRequest::post("https://a/b"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(
        error
            .context()
            .contains(&("may_have_happened".into(), "true".into()))
    );
}

#[derive(Debug)]
struct LostLease;

impl Lease for LostLease {
    fn holds_for(&self, _at_least: Duration) -> bool {
        false
    }
}

#[tokio::test]
async fn a_worker_without_its_lease_reads_and_changes_nothing() {
    let mut ctx = context();
    ctx.lease = Arc::new(LostLease);
    for (request, sent) in [
        (HttpRequest::get("https://a/b"), 1),
        (HttpRequest::post("https://a/b").read_only(), 1),
        (HttpRequest::put("https://a/b"), 0),
        (HttpRequest::post("https://a/b"), 0),
    ] {
        let rig = Rig::with_faults(1, &[]);
        let kind = rig
            .plane
            .fetch(&ctx, request)
            .await
            .err()
            .map(|error| error.kind());
        assert_eq!(rig.script.sent().len(), sent);
        assert_eq!(kind, (sent == 0).then_some(ErrorKind::Conflict));
    }
}

#[tokio::test]
async fn requests_of_an_account_wait_their_turn() {
    let rig = Rig::with_faults(4, &[]);
    let plane = rig
        .plane
        .clone()
        .with_limiter(Arc::new(TokenBuckets::new(Duration::from_secs(1), 2)));
    let scope = RateScope {
        provider: ProviderId::new("fly").unwrap(),
        account: "acme".into(),
    };
    for _ in 0..4 {
        let request = HttpRequest::get("https://a/b").scope(scope.clone());
        plane.fetch(&context(), request).await.unwrap();
    }
    assert_eq!(rig.waits(), [1000, 1000]);
}

#[tokio::test]
async fn a_refused_account_pauses_for_all_its_requests() {
    let rig = Rig::new(
        ScriptedTransport::new()
            .answer(Answer::status(429).with_header(RETRY_AFTER, "30"))
            .answer(Answer::status(200)),
    );
    let plane = rig
        .plane
        .clone()
        .with_limiter(Arc::new(TokenBuckets::new(Duration::from_millis(1), 1)));
    let scope = RateScope {
        provider: ProviderId::new("fly").unwrap(),
        account: "acme".into(),
    };
    let post = HttpRequest::post("https://a/b").scope(scope.clone());
    assert_eq!(
        plane.fetch(&context(), post).await.unwrap().status.as_u16(),
        429
    );
    let get = HttpRequest::get("https://a/b").scope(scope);
    assert_eq!(
        plane.fetch(&context(), get).await.unwrap().status.as_u16(),
        200
    );
    assert_eq!(rig.waits(), [30_000]);
}

#[tokio::test]
async fn what_was_not_expected_is_named() {
    let rig =
        Rig::new(ScriptedTransport::new().expect(Method::GET, "/v1/apps", Answer::status(200)));
    let request =
        HttpRequest::delete("https://host/v1/apps/shop?token=sentinel").operation("DeleteApp");
    let error = rig.plane.fetch(&context(), request).await.unwrap_err();
    assert!(
        error.message().contains(
            "DELETE https://host/v1/apps/shop?… (DeleteApp) was not expected; GET …/v1/apps was"
        ),
        "{error}"
    );
    assert_eq!((rig.script.unexpected().len(), rig.script.left()), (1, 1));
    assert!(!format!("{error:?}").contains("sentinel"));
}

#[tokio::test]
async fn a_recording_holds_no_secret_and_can_be_replayed() {
    let script = ScriptedTransport::new()
        .answer(
            Answer::text(201, "{\"id\":1,\"token\":\"sentinel-a\"}")
                .with_header(HeaderName::from_static("x-request-id"), "r1"),
        )
        .answer(Answer::text(200, "sentinel-b"));
    let mut redactor = Redactor::default();
    redactor.add(&Secret::new("sentinel-a"));
    let recording = Arc::new(RecordingTransport::new(Arc::new(script), redactor));
    let plane =
        Plane::new(Arc::<RecordingTransport>::clone(&recording)).with_policy(RetryPolicy::once());
    let create = HttpRequest::post("https://host/v1/apps?x=1")
        .operation("CreateApp")
        .bearer(&Secret::new("sentinel-a"))
        .unwrap()
        .text_header("x-api-key", "sentinel-c")
        .unwrap()
        .body("name=shop&password=sentinel-a");
    plane.fetch(&context(), create).await.unwrap();
    let upload = HttpRequest::put("https://host/presigned?signature=sentinel-b")
        .sensitive()
        .body("sentinel-b");
    plane.fetch(&context(), upload).await.unwrap();

    let recorded = serde_json::to_string(&recording.exchanges()).unwrap();
    assert!(!recorded.contains("sentinel"), "{recorded}");
    let replayed = Rig::new(ScriptedTransport::replay(
        serde_json::from_str(&recorded).unwrap(),
    ));
    let answer = replayed
        .plane
        .fetch(&context(), HttpRequest::post("https://other/v1/apps?x=1"))
        .await
        .unwrap();
    assert_eq!(answer.header("x-request-id"), Some("r1"));
    assert!(answer.text().contains("\"token\":\"***\""));
}
