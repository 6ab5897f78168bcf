//! Processes as the system tells them (`/proc`).

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

/// The variable in the environment of every process that we start: the name of what it belongs to, with the owner mark.
pub(super) const MARK: &str = "DEVOPSER_RELEASE";

/// A process beyond doubt: a process id alone is given to another process sooner or later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// When it was started, in the system's ticks since its own start.
    pub(super) start: u64,
    /// The start of the system.
    pub(super) boot: String,
}

/// What the system says about a process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) group: i32,
    pub(super) start: u64,
    pub(super) ticks: u64,
    pub(super) threads: u64,
    pub(super) resident_pages: u64,
    ended: bool,
}

impl Identity {
    /// The identity of a process that exists.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            start: read(pid)?.start,
            boot: boot(),
        })
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        self.boot == boot()
            && read(self.pid).is_some_and(|process| !process.ended && process.start == self.start)
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

fn read(pid: i32) -> Option<Process> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Process> {
    // The name, in parentheses, may hold anything.
    let pid = stat.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        pid,
        group: fields.get(2)?.parse().ok()?,
        start: number(19)?,
        ticks: number(11)? + number(12)?,
        threads: number(17)?,
        resident_pages: number(21)?,
        ended: matches!(fields.first(), Some(&("Z" | "X"))),
    })
}

/// Every process that runs.
fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .filter(|process| !process.ended)
        .collect()
}

/// The mark in a process's environment, when it has one and we may read it.
fn mark_of(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The marks of all processes that run, for those that begin with `prefix`.
pub(super) fn marks(prefix: &str) -> HashSet<String> {
    all()
        .iter()
        .filter_map(|process| mark_of(process.pid))
        .filter(|mark| mark.starts_with(prefix))
        .collect()
}

/// The leader of a group whose processes carry `mark`: what was started last under that name.
pub(super) fn leader(mark: &str) -> Option<Identity> {
    all()
        .iter()
        .find(|process| {
            process.pid == process.group && mark_of(process.pid).as_deref() == Some(mark)
        })
        .and_then(|process| Identity::of(process.pid))
}

/// The processes of the group that `leader` leads or led.
pub(super) fn group(leader: &Identity) -> Vec<Process> {
    // When its number was given to another process, the group is not ours.
    let taken = read(leader.pid).is_some_and(|now| now.start != leader.start);
    if taken || leader.boot != boot() {
        return Vec::new();
    }
    let mut group = all();
    group.retain(|process| process.group == leader.pid);
    group
}

/// Everything that belongs to `mark`: the group, and what left the group but carries the mark.
pub(super) fn members(mark: &str, leader: Option<&Identity>) -> Vec<Process> {
    let mut members = leader.map(group).unwrap_or_default();
    let known: HashSet<i32> = members.iter().map(|process| process.pid).collect();
    members.extend(
        all()
            .into_iter()
            .filter(|process| !known.contains(&process.pid))
            .filter(|process| mark_of(process.pid).as_deref() == Some(mark)),
    );
    members
}

/// Sends `signal` to everything that belongs to `mark`, and says whether there was anything.
pub(super) fn signal(mark: &str, leader: Option<&Identity>, signal: Signal) -> bool {
    let members = members(mark, leader);
    let group = leader.map(|leader| leader.pid);
    if let Some(group) = group
        && members.iter().any(|process| process.group == group)
    {
        // Gone meanwhile is as good.
        let _ = killpg(Pid::from_raw(group), signal);
    }
    for process in &members {
        if Some(process.group) != group {
            let _ = kill(Pid::from_raw(process.pid), signal);
        }
    }
    !members.is_empty()
}

/// The TCP ports that processes listen on.
pub(super) fn listening(processes: &[Process]) -> Vec<u16> {
    let Some(first) = processes.first() else {
        return Vec::new();
    };
    let sockets: HashSet<String> = processes
        .iter()
        .flat_map(|process| sockets(process.pid))
        .collect();
    let mut ports: Vec<u16> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{}/net/{table}", first.pid)).ok())
        .flat_map(|table| listeners(&table))
        .filter(|(_, socket)| sockets.contains(socket))
        .map(|(port, _)| port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn sockets(pid: i32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| socket_number(&link))
        .collect()
}

fn socket_number(link: &Path) -> Option<String> {
    let number = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
    Some(number.to_owned())
}

/// Port and socket number of every line of `/proc/net/tcp` that listens.
fn listeners(table: &str) -> Vec<(u16, String)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let port = fields.get(1)?.rsplit_once(':')?.1;
        let port = u16::from_str_radix(port, 16).ok()?;
        (fields.get(3)? == &"0A").then_some((port, (*fields.get(9)?).to_owned()))
    };
    table.lines().filter_map(line).collect()
}

/// The system's ticks a second.
pub(super) fn ticks_per_second() -> u64 {
    system_value(SysconfVar::CLK_TCK, 100)
}

/// Bytes of a page of memory.
pub(super) fn page_bytes() -> u64 {
    system_value(SysconfVar::PAGE_SIZE, 4096)
}

fn system_value(name: SysconfVar, usual: u64) -> u64 {
    sysconf(name)
        .ok()
        .flatten()
        .and_then(|value| u64::try_from(value).ok())
        .unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "42 (a) R (b) S 1 42 7 0 -1 4 1 2 3 4 50 60 7 8 20 0 3 0 12345 1000 99 18446744073709551615";
        let process = parse(stat).unwrap();
        assert_eq!((process.pid, process.group, process.start), (42, 42, 12345));
        assert_eq!(
            (process.ticks, process.threads, process.resident_pages),
            (110, 3, 99)
        );
        assert!(!process.ended);
        for wrong in ["", "42", "42 (a", "42 (a) S", "x (a) S 1 2"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn this_process_is_alive_and_one_with_its_number_only_is_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Identity::of(pid).unwrap();
        assert!(me.is_alive());
        let other = Identity {
            start: me.start + 1,
            ..me.clone()
        };
        assert!(!other.is_alive() && group(&other).is_empty());
        let earlier = Identity {
            boot: "earlier".into(),
            ..me
        };
        assert!(!earlier.is_alive());
    }

    #[test]
    fn listeners_are_read_from_the_systems_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100\n\
             1: 0100007F:1F91 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 778 1 0 100\n";
        assert_eq!(listeners(table), [(8080, "777".to_owned())]);
    }
}
