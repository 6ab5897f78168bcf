//! The driver: polls a pipeline, appends one record at a time, and hands it over.

mod apply;
mod decide;

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::policy::StepError;
use super::super::port::{BoxFut, CancelReason, DurableContext, StepResult};
use super::super::registry::Registry;
use super::super::timer::{Busy, RunTimer, locked};
use super::bodies::{Bodies, Ended, panic_text};
use super::context::{Asked, RunContext, State, fitting};
use super::signals::Signals;
use super::{End, Event, Halt, Host, Journal, Message, Record, Run};
use crate::{Error, ErrorKind};

/// A pipeline that wakes itself more often than this within one turn does not wait for its calls.
const MOST_POLLS: u32 = 100_000;

/// Drives one run.
pub(in super::super::super) struct Driver<'a> {
    run: Run,
    registry: &'a Registry,
    journal: &'a mut dyn Journal,
    host: Arc<dyn Host>,
    timer: Arc<dyn RunTimer>,
    stop: CancellationToken,
    inbox: mpsc::UnboundedReceiver<Message>,
    state: Arc<Mutex<State>>,
    bodies: Bodies,
    signals: Signals,
    /// Steps whose attempt failed: how many attempts there were, and when the next one begins.
    retries: BTreeMap<u64, (u32, u64)>,
    ended: VecDeque<Ended>,
    busy: Option<Busy>,
    stopping: bool,
}

/// What stops a driver before its pipeline ended.
enum Stop {
    Terminated,
    LeftOff,
    Halted(Halt),
    /// The journal does not fit the code.
    Changed(StepError),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

impl<'a> Driver<'a> {
    /// A driver for `run`. Messages for it go through `sender`, whose other end is `inbox`. `stop` fires when the worker
    /// goes down.
    pub(in super::super::super) fn new(
        run: Run,
        registry: &'a Registry,
        journal: &'a mut dyn Journal,
        host: Arc<dyn Host>,
        (sender, inbox): (
            mpsc::UnboundedSender<Message>,
            mpsc::UnboundedReceiver<Message>,
        ),
        stop: CancellationToken,
    ) -> Self {
        let timer = host.timer();
        let state = State::at(run.begin.created_at_ms);
        Self {
            bodies: Bodies::new(Arc::clone(&host), sender),
            busy: Some(timer.busy()),
            run,
            registry,
            journal,
            host,
            timer,
            stop,
            inbox,
            state: Arc::new(Mutex::new(state)),
            signals: Signals::default(),
            retries: BTreeMap::new(),
            ended: VecDeque::new(),
            stopping: false,
        }
    }

    /// Drives the run until it ends or has to be left.
    pub(in super::super::super) async fn drive(mut self) -> End {
        let end = match self.follow().await {
            Ok(result) => End::Ended(result),
            Err(Stop::Changed(error)) => End::Ended(Err(error)),
            Err(Stop::Terminated) => End::Terminated,
            Err(Stop::LeftOff) => End::LeftOff,
            Err(Stop::Halted(halt)) => End::Halted(halt),
        };
        self.bodies.abort_all();
        end
    }

    async fn follow(&mut self) -> Result<StepResult, Stop> {
        let mut recorded = self.load().await?;
        let Some(pipeline) = self.registry.find_pipeline(&self.run.pipeline) else {
            return Err(Stop::LeftOff);
        };
        let cx = RunContext::new(&self.run.id, &self.run.begin.seed, Arc::clone(&self.state));
        let cx: &dyn DurableContext = &cx;
        let input = self.run.begin.input.clone();
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| pipeline(cx, input)));
        let mut running = match made {
            Ok(running) => running,
            Err(panic) => return Ok(Err(self.panicked(panic_text(&*panic)))),
        };
        let result = loop {
            locked(&self.state).replaying = !recorded.is_empty();
            if let Some(result) = self.poll(&mut running)? {
                break result;
            }
            let record = match recorded.pop_front() {
                Some(record) => record,
                None => self.next_record().await?,
            };
            self.apply(record)?;
        };
        drop(running);
        self.finish().await?;
        let what = format!("the result of {}", self.run.pipeline);
        Ok(fitting(&what, result))
    }

    async fn load(&mut self) -> Result<VecDeque<Record>, Stop> {
        let recorded = self.journal.load().await?;
        for record in &recorded {
            match &record.event {
                Event::Wait {
                    signal: Some(signal),
                    ..
                } => self.signals.taken(signal.id),
                Event::Patch { id } => {
                    locked(&self.state).patched.insert(id.clone());
                }
                _ => {}
            }
        }
        let id = self.run.id.clone();
        let beats = self.host.beats(&id).await.map_err(storage)?;
        self.bodies.set_beats(beats);
        for signal in self.host.signals(&id).await.map_err(storage)? {
            self.signals.add(signal);
        }
        Ok(recorded.into())
    }

    /// Polls the pipeline until it waits. `None`: it waits.
    fn poll(&self, running: &mut BoxFut<'_, StepResult>) -> Result<Option<StepResult>, Stop> {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut polls = 0;
        while woken.0.swap(false, Ordering::SeqCst) && polls < MOST_POLLS {
            polls += 1;
            let polled =
                std::panic::catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(&mut cx)));
            match polled {
                Ok(Poll::Ready(result)) => return Ok(Some(result)),
                Ok(Poll::Pending) => {}
                Err(panic) => return Ok(Some(Err(self.panicked(panic_text(&*panic))))),
            }
        }
        if polls < MOST_POLLS && locked(&self.state).waits() {
            return Ok(None);
        }
        Err(Stop::Changed(StepError::runtime(
            ErrorKind::Unexpected,
            format!(
                "pipeline {} waits for something that is no call of its context",
                self.run.pipeline
            ),
        )))
    }

    fn panicked(&self, text: &str) -> StepError {
        StepError::panicked(&format!("pipeline {}", self.run.pipeline), text)
    }

    /// Waits for the next thing the pipeline can learn of, and appends it.
    async fn next_record(&mut self) -> Result<Record, Stop> {
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                self.take(Some(message))?;
            }
            self.show().await?;
            self.drop_unwanted();
            // Nothing starts while something is known that may change the pipeline's mind.
            let mut event = self.next_event();
            if event.is_none() {
                self.start_bodies()?;
                event = self.next_event();
            }
            if let Some(event) = event {
                let record = Record {
                    at_ms: self.timer.now_ms().max(locked(&self.state).now_ms),
                    event,
                };
                self.journal.append(&record).await?;
                return Ok(record);
            }
            if self.stopping && self.bodies.is_empty() {
                return Err(Stop::LeftOff);
            }
            self.wait().await?;
        }
    }

    /// Keeps what the pipeline wants to show.
    async fn show(&mut self) -> Result<(), Stop> {
        let shown = std::mem::take(&mut locked(&self.state).shown);
        for (key, value) in shown {
            let kept = self.host.publish(&self.run.id, &key, &value).await;
            kept.map_err(storage)?;
        }
        Ok(())
    }

    fn drop_unwanted(&mut self) {
        let dropped = std::mem::take(&mut locked(&self.state).dropped);
        for call in dropped {
            self.retries.remove(&call);
            self.ended.retain(|ended| ended.call != call);
            self.bodies
                .stop(CancelReason::Dropped, |body, _| body == call);
        }
    }

    /// Waits until something happens.
    async fn wait(&mut self) -> Result<(), Stop> {
        let due = self.next_due();
        let sleep = due.map(|at_ms| self.timer.sleep_until(at_ms));
        // Only now: a virtual clock must know of the sleep before it learns that nothing is being done.
        drop(self.busy.take());
        let sleep = async {
            match sleep {
                Some(sleep) => sleep.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled(), if !self.stopping => {
                self.busy = Some(self.timer.busy());
                self.stopping = true;
                self.bodies.stop(CancelReason::WorkerShutdown, |_, _| true);
            }
            message = self.inbox.recv() => {
                self.busy = Some(self.timer.busy());
                self.take(message)?;
            }
            woken = sleep => {
                self.busy = Some(self.timer.busy());
                drop(woken);
                let gone = self.bodies.tick();
                self.keep(gone);
            }
        }
        Ok(())
    }

    /// When something is due next, also what became due since it was last looked for.
    fn next_due(&self) -> Option<u64> {
        let state = locked(&self.state);
        let calls = state.calls.values().filter(|call| call.is_open());
        let waits = calls.filter_map(|call| match call.asked {
            Asked::Sleep { until_ms } | Asked::Wait { until_ms, .. } => Some(until_ms),
            Asked::Step { .. } => None,
        });
        let retries = self.retries.iter().filter_map(|(call, (_, due_ms))| {
            let open = !self.bodies.has(*call) && state.calls.contains_key(call);
            // Behind a body that nobody wants any more nothing starts; its end is what is waited for.
            (open && !self.bodies.has_dropped()).then_some(*due_ms)
        });
        let next = waits.chain(retries).min();
        // A worker that goes down waits for its bodies only.
        let next = if self.stopping { None } else { next };
        next.into_iter().chain(self.bodies.next_due()).min()
    }

    fn take(&mut self, message: Option<Message>) -> Result<(), Stop> {
        match message {
            Some(Message::Ended { body, result, busy }) => {
                let ended = self.bodies.ended(body, result);
                self.keep(ended);
                drop(busy);
            }
            Some(Message::Signal(signal, busy)) => {
                self.signals.add(signal);
                drop(busy);
            }
            Some(Message::Terminate) => return Err(Stop::Terminated),
            None => return Err(Stop::Halted(Halt("the worker is gone".to_owned()))),
        }
        Ok(())
    }

    fn keep(&mut self, ended: impl IntoIterator<Item = Ended>) {
        let wanted = |ended: &Ended| ended.stopped != Some(CancelReason::Dropped);
        self.ended.extend(ended.into_iter().filter(wanted));
    }

    /// After the pipeline: shows what is left to show and lets the bodies end that nobody waits for.
    async fn finish(&mut self) -> Result<(), Stop> {
        self.show().await?;
        self.bodies.stop(CancelReason::Dropped, |_, _| true);
        while !self.bodies.is_empty() {
            self.wait().await?;
        }
        Ok(())
    }
}

fn storage(error: Error) -> Stop {
    Stop::Halted(Halt(error.to_string()))
}

/// Notes that the pipeline was woken while it was polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
