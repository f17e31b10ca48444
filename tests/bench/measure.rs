//! Figures of interleaved rounds, and how they are told.

use std::collections::BTreeMap;
use std::time::Duration;

/// Processor time that each thread of a process has had.
pub(crate) struct Processor {
    process: u32,
    had: BTreeMap<String, u64>,
}

impl Processor {
    /// So far.
    pub(crate) fn of(process: u32) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let had = |task: std::fs::DirEntry| {
            let said = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            let name = task.file_name().into_string().ok()?;
            Some((name, said.split(' ').next()?.parse().ok()?))
        };
        Self { process, had: tasks.filter_map(|task| had(task.ok()?)).collect() }
    }

    /// The same process, so far again.
    pub(crate) fn again(&self) -> Self {
        Self::of(self.process)
    }

    /// What all threads have had since. One that has ended counts no more.
    pub(crate) fn since(&self) -> Duration {
        let before = |name: &String| self.had.get(name).copied().unwrap_or_default();
        let now = Self::of(self.process).had;
        Duration::from_nanos(now.iter().map(|(name, had)| had - before(name)).sum())
    }
}

/// How one side compares with another, round by round.
pub(crate) struct Ratio {
    /// Of the least of each.
    pub(crate) least: f64,
    /// The quarter of the rounds, half of them, and three quarters are below.
    pub(crate) quartiles: [f64; 3],
}

impl Ratio {
    /// Of figures of the same rounds.
    pub(crate) fn of(these: &[Duration], those: &[Duration]) -> Self {
        let least = |of: &[Duration]| of.iter().min().copied().unwrap();
        let rounds = these.iter().zip(those);
        let mut ratios: Vec<_> = rounds.map(|(one, other)| one.div_duration_f64(*other)).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |quarter| ratios[ratios.len() * quarter / 4];
        Self { least: least(these).div_duration_f64(least(those)), quartiles: [at(1), at(2), at(3)] }
    }
}

/// One line.
#[expect(clippy::print_stdout, reason = "for whoever runs it")]
pub(crate) fn tell(line: &str) {
    println!("{line}");
}
