//! `process_*`: what Prometheus' own clients tell of a process, from /proc.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// What the system says of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_s: f64,
    pub(super) resident_size_bytes: f64,
    pub(super) virtual_size_bytes: f64,
    pub(super) start_s: f64,
    pub(super) threads: f64,
    pub(super) open_fds: f64,
    pub(super) max_fds: f64,
}

impl Process {
    /// Of this process; `None` where there is no /proc.
    pub(super) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // Not from /proc/stat: a service that is locked in sees the part of /proc that is about processes alone.
        let seconds = |clock| clock_gettime(clock).tv_sec as f64;
        let booted = seconds(ClockId::Realtime) - seconds(ClockId::Boottime);
        let per_s = rustix::param::clock_ticks_per_second() as f64;
        let mut process = Self::parse(&stat, per_s, rustix::param::page_size() as f64, booted)?;
        process.open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as f64;
        process.max_fds = max_fds(&fs::read_to_string("/proc/self/limits").ok()?)?;
        Some(process)
    }

    /// proc_pid_stat(5): the fields after the name, which may hold anything, closing parentheses too.
    fn parse(stat: &str, ticks_per_s: f64, page_size: f64, booted: f64) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // The third field of the manual is the first here.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_s: (field(14)? + field(15)?) / ticks_per_s,
            threads: field(20)?,
            start_s: booted + field(22)? / ticks_per_s,
            virtual_size_bytes: field(23)?,
            resident_size_bytes: field(24)? * page_size,
            ..Self::default()
        })
    }
}

/// proc_pid_limits(5): the soft limit is the first of two.
fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_process_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 5 6 20 0 9 0 3000 1048576 25 18446744073709551615 1";
        let process = Process::parse(stat, 100.0, 4096.0, 1_000.0).unwrap();
        assert_eq!(process.cpu_s, 2.0);
        assert_eq!((process.threads, process.start_s), (9.0, 1_030.0));
        assert_eq!((process.virtual_size_bytes, process.resident_size_bytes), (1_048_576.0, 102_400.0));
        assert_eq!(Process::parse("7 (a) S 1", 100.0, 4096.0, 0.0), None);
    }

    #[test]
    fn this_process_has_files_open_and_memory() {
        let process = Process::read().unwrap();
        assert!(process.open_fds >= 3.0 && process.resident_size_bytes > 1e6, "{process:?}");
        assert!(process.start_s > 1.6e9 && process.max_fds > process.open_fds, "{process:?}");
    }
}
