//! The output of a build as lines, as `docker build --progress=plain` writes them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::model::{BuildEvent, VertexEvent};

/// How many of a step's last lines an error shows.
const KEPT_LINES: usize = 30;
/// What is taken of a line; the rest of a longer one is left out. Far more than the engine keeps once it has hidden the
/// secrets in it, so that half of one is never shown.
const LONGEST_LINE: usize = 64 << 10;

/// Turns events into lines and remembers what an error will need.
#[derive(Debug, Default)]
pub(crate) struct BuildLog {
    steps: HashMap<String, Step>,
    failed: Option<String>,
}

#[derive(Debug, Default)]
struct Step {
    number: usize,
    name: String,
    is_told: bool,
    is_ended: bool,
    /// What stands after the last line end of standard output and of standard error.
    partial: [Vec<u8>; 2],
    last: VecDeque<String>,
}

/// The step that failed.
#[derive(Debug)]
pub(crate) struct FailedStep {
    /// As the build names it, such as `[build 3/4] RUN npm ci`.
    pub(crate) name: String,
    /// Its last lines.
    pub(crate) lines: Vec<String>,
}

impl BuildLog {
    /// The lines of an event.
    pub(crate) fn lines(&mut self, event: BuildEvent) -> Vec<String> {
        match event {
            BuildEvent::Vertex(vertex) => self.vertex(vertex),
            BuildEvent::Output {
                vertex,
                is_error_stream,
                data,
            } => self.output(&vertex, usize::from(is_error_stream), &data),
            BuildEvent::Warning(text) => vec![format!("WARN: {text}")],
        }
    }

    /// The step that failed, when one did.
    pub(crate) fn failed(&self) -> Option<FailedStep> {
        let step = self.steps.get(self.failed.as_ref()?)?;
        Some(FailedStep {
            name: step.name.clone(),
            lines: step.last.iter().cloned().collect(),
        })
    }

    fn step(&mut self, digest: &str) -> &mut Step {
        let number = self.steps.len() + 1;
        self.steps.entry(digest.to_owned()).or_insert_with(|| Step {
            number,
            ..Step::default()
        })
    }

    fn vertex(&mut self, vertex: VertexEvent) -> Vec<String> {
        let is_failure = !vertex.error.is_empty() && !vertex.error.contains("context canceled");
        if is_failure {
            self.failed.get_or_insert_with(|| vertex.digest.clone());
        }
        let step = self.step(&vertex.digest);
        let number = step.number;
        step.name.clone_from(&vertex.name);
        let mut lines = Vec::new();
        if (vertex.started || vertex.cached) && !step.is_told {
            step.is_told = true;
            lines.push(format!("#{number} {}", vertex.name));
        }
        let ended = vertex.cached || vertex.completed.is_some();
        if !ended || step.is_ended {
            return lines;
        }
        step.is_ended = true;
        lines.extend(step.take_partial(0));
        lines.extend(step.take_partial(1));
        lines.push(if is_failure {
            format!("#{number} ERROR: {}", vertex.error)
        } else if vertex.cached {
            format!("#{number} CACHED")
        } else {
            format!(
                "#{number} DONE {}",
                seconds(vertex.completed.unwrap_or_default())
            )
        });
        lines
    }

    fn output(&mut self, digest: &str, stream: usize, data: &[u8]) -> Vec<String> {
        let step = self.step(digest);
        let mut lines = Vec::new();
        for byte in data {
            let is_full = step.partial[stream].len() >= LONGEST_LINE;
            match byte {
                b'\n' => lines.extend(step.take_partial(stream)),
                // A progress bar overwrites what it wrote.
                b'\r' if is_full => step.partial[stream].clear(),
                byte if !is_full => step.partial[stream].push(*byte),
                _ => {}
            }
        }
        lines
    }
}

impl Step {
    /// The line that was collected; `None` when it is empty.
    fn take_partial(&mut self, stream: usize) -> Option<String> {
        let bytes = std::mem::take(&mut self.partial[stream]);
        let text = String::from_utf8_lossy(&bytes);
        // What a progress bar wrote last is what a person would see.
        let text = text.trim_end_matches('\r');
        let text = text.rsplit('\r').next().unwrap_or_default().trim_end();
        if text.is_empty() {
            return None;
        }
        if self.last.len() == KEPT_LINES {
            self.last.pop_front();
        }
        self.last.push_back(text.to_owned());
        Some(format!("#{} {text}", self.number))
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(name: &str, completed: bool, error: &str) -> BuildEvent {
        BuildEvent::Vertex(VertexEvent {
            digest: name.into(),
            name: name.into(),
            started: true,
            completed: completed.then_some(Duration::from_millis(1250)),
            cached: false,
            error: error.into(),
        })
    }

    fn output(name: &str, text: &str) -> BuildEvent {
        BuildEvent::Output {
            vertex: name.into(),
            is_error_stream: false,
            data: text.into(),
        }
    }

    #[test]
    fn steps_are_numbered_and_lines_are_put_together() {
        let mut log = BuildLog::default();
        let mut lines = Vec::new();
        for event in [
            vertex("one", false, ""),
            vertex("two", false, ""),
            output("two", "a par"),
            output("one", "x\n"),
            output("two", "tial line\nbar 1%\rbar 100%\r\n\nrest"),
            vertex("one", true, ""),
            vertex("one", true, ""),
            vertex("two", true, "exit code: 1"),
        ] {
            lines.extend(log.lines(event));
        }
        assert_eq!(
            lines,
            [
                "#1 one",
                "#2 two",
                "#1 x",
                "#2 a partial line",
                "#2 bar 100%",
                "#1 DONE 1.2s",
                "#2 rest",
                "#2 ERROR: exit code: 1",
            ]
        );
        let failed = log.failed().unwrap();
        assert_eq!(failed.name, "two");
        assert_eq!(failed.lines, ["a partial line", "bar 100%", "rest"]);
    }

    #[test]
    fn only_the_last_lines_are_kept_and_endless_lines_are_cut() {
        let mut log = BuildLog::default();
        for n in 0..100 {
            log.lines(output("a", &format!("{n}\n")));
        }
        log.lines(output("a", &"x".repeat(3 * LONGEST_LINE)));
        log.lines(output("a", "its end\nnext\n"));
        log.lines(vertex("a", true, "failed"));
        let failed = log.failed().unwrap();
        assert_eq!(failed.lines.len(), KEPT_LINES);
        assert_eq!(failed.lines[KEPT_LINES - 2], "x".repeat(LONGEST_LINE));
        assert_eq!(failed.lines[KEPT_LINES - 1], "next");
        assert_eq!(failed.lines[0], "72");
    }
}
