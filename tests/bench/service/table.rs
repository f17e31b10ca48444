//! One table: what was measured, beside what, and whether it is as it should be.

use std::time::Duration;

use super::load::Way;
use crate::measure::{Ratio, tell};

/// What requests travel in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub(crate) const BOTH: [Self; 2] = [Self::Http1, Self::Http2];

    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// It is there to be read.
    Told,
}

impl Goal {
    fn of(self, figure: f64) -> String {
        let holds = |holds| if holds { "holds" } else { "DOES NOT HOLD" };
        match self {
            Self::AtMost(most) => format!("≤ {most:<6} {}", holds(figure <= most)),
            Self::AtLeast(least) => format!("≥ {least:<6} {}", holds(figure >= least)),
            Self::Told => String::new(),
        }
    }
}

/// The table's head.
pub(crate) fn head(what: &str) {
    tell(what);
    tell(
        "  path               conns protocol   µs CPU   beside     ratio  (least / least; quarter to three quarters)   goal",
    );
}

/// A way's costs beside another's. The goal is held against the middle of the rounds.
pub(crate) fn row(way: &Way, beside: &Way, (protocol, connections): (Protocol, usize), goal: Goal) {
    let (process, ratio) = (middle(&way.costs), Ratio::of(&way.costs, &beside.costs));
    let Ratio { least, quartiles: [low, median, high] } = ratio;
    let (name, protocol, beside) = (way.name, protocol.name(), beside.name);
    tell(&format!(
        "  {name:<18} {connections:>5} {protocol:<9} {process:>8.2}   {beside:<8} {median:>7.3}  ({least:.3}; {low:.3} to {high:.3})   {}",
        goal.of(median),
    ));
}

/// What is told in a unit of its own.
pub(crate) fn fact(name: &str, figure: f64, unit: &str, goal: Goal) {
    tell(&format!("  {name:<60} {figure:>9.3} {unit:<26} {}", goal.of(figure)));
}

/// Microseconds.
fn middle(costs: &[Duration]) -> f64 {
    let mut sorted = costs.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2].as_secs_f64() * 1e6
}
