//! The subcommand `nutritionfacts report`: the survey of installations, for users without Grafana.

use std::{
    fmt::Write as _,
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use chrono::{NaiveDate, TimeDelta};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Failure, clock::SystemClock, config::print};
use crate::{
    config::Loaded,
    domain::{
        Clock, Timestamp,
        period::{Period, midnight},
        survey::{Findings, Group, Survey},
    },
    store::{ReadError, Reader},
};

/// Number of rows of a table in the terminal; JSON has all.
const LINES: usize = 15;

/// Period and output format.
#[derive(Args)]
pub struct Options {
    /// First day of the period, in UTC; 30 days before its end if not given
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<NaiveDate>,
    /// The day after the last day; now if not given
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<NaiveDate>,
    /// Include developers, testers, demonstrations and staff (installations with a mode)
    #[arg(long)]
    all: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs; see docs/data.md.
    Json,
}

#[derive(Serialize)]
struct Report {
    since: Timestamp,
    until: Timestamp,
    #[serde(flatten)]
    findings: Findings,
}

impl Options {
    /// Reads the store, also while a server uses it, and prints the report.
    ///
    /// # Errors
    ///
    /// The period is empty, or the store cannot be read.
    pub async fn run(self, loaded: Loaded) -> Result<(), Failure> {
        let now = SystemClock.now();
        let until = self.until.map_or(now, midnight);
        let since = self.since.map_or(until - TimeDelta::days(30), midnight);
        if since >= until {
            return Err(Failure::Unchecked(format!("--since {since} is not before --until {until}")));
        }
        let mut reader = Reader::open(&loaded.store).await.map_err(|error| match error {
            ReadError::Open(error) => Failure::of_store(&loaded, error),
            other => Failure::running(other),
        })?;
        let mut survey = Survey::new(self.all);
        let sealed = reader.sealed_before().await.map_err(Failure::running)?;
        if since < midnight(sealed) {
            let period = Period::between(since, until).ok_or_else(|| {
                Failure::Unchecked(format!(
                    "pings before {sealed} are deleted: only counts of whole days, weeks (from Monday) and months are available"
                ))
            })?;
            reader.counted(period, self.all, &mut survey).await.map_err(Failure::running)?;
            return self.tell(&Report { since, until, findings: survey.findings() });
        }
        let mut progress = Progress::new((until - since).num_days() + 1);
        // Day by day in order, so that the last ping of an installation wins.
        let mut from = since;
        while from < until {
            let to = (from + TimeDelta::days(1)).min(until);
            reader.survey((from, to), self.all, &mut survey).await.map_err(Failure::running)?;
            progress.step(from);
            from = to;
        }
        progress.end();
        self.tell(&Report { since, until, findings: survey.findings() })
    }

    fn tell(&self, report: &Report) -> Result<(), Failure> {
        print(&match self.format {
            Format::Table => table(report, self.all),
            Format::Json => {
                let mut text = serde_json::to_string_pretty(report).map_err(Failure::running)?;
                text.push('\n');
                text
            }
        })
    }
}

fn table(report: &Report, all: bool) -> String {
    let Report { since, until, findings } = report;
    let days = |moment: &Timestamp| moment.format("%Y-%m-%d %H:%M").to_string();
    let who = if all { "installations" } else { "ordinary installations" };
    let reported = match (findings.facilities, findings.learners) {
        (Some(facilities), Some(learners)) => format!("{facilities} facilities reported {learners} learners"),
        _ => "their pings are deleted, so languages and facilities are unknown, and of versions only the release is known"
            .into(),
    };
    let mut text =
        format!("{} to {} UTC\n{} {who} pinged; {reported}\n", days(since), days(until), findings.installations);
    let parts = [
        ("operating system", &findings.os),
        ("version", &findings.version),
        ("country", &findings.country),
        ("language", &findings.language),
    ];
    for (name, groups) in parts {
        part(&mut text, name, groups, findings.installations);
    }
    text
}

/// Prints one table; rows beyond the limit are summed up in its last line.
fn part(text: &mut String, name: &str, groups: &[Group], of: u64) {
    let shown = if groups.len() > LINES + 1 { LINES } else { groups.len() };
    let rest: u64 = groups[shown..].iter().map(|group| group.installations).sum();
    let more = (shown < groups.len()).then(|| format!("{} more", groups.len() - shown));
    let lines = groups[..shown].iter().map(|group| (plain(&group.value), group.installations));
    let lines: Vec<_> = lines.chain(more.map(|more| (more, rest))).collect();
    let width = lines.iter().map(|(value, _)| value.chars().count()).chain([name.len()]).max().unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n{name:<width$}  installations   share");
    for (value, installations) in lines {
        // Precise to a tenth of a percent: counts are far below the precision of a float.
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = 100.0 * installations as f64 / of.max(1) as f64;
        let _ = writeln!(text, "{value:<width$}  {installations:>13}  {share:>5.1}%");
    }
}

/// Text from clients, without characters that would move the cursor or break a line.
fn plain(value: &str) -> String {
    value.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).take(60).collect()
}

/// Prints the progress of a long report on stderr: in one line on a terminal, otherwise a line now and then.
struct Progress {
    days: i64,
    done: i64,
    said: Instant,
    pause: Duration,
    is_terminal: bool,
    has_said: bool,
}

impl Progress {
    fn new(days: i64) -> Self {
        let is_terminal = stderr().is_terminal();
        let pause = if is_terminal { Duration::from_millis(500) } else { Duration::from_secs(10) };
        Self { days, done: 0, said: Instant::now(), pause, is_terminal, has_said: false }
    }

    fn step(&mut self, day: Timestamp) {
        self.done += 1;
        if self.said.elapsed() < self.pause {
            return;
        }
        (self.said, self.has_said) = (Instant::now(), true);
        let line = format!("read {} ({} of {} days)", day.format("%Y-%m-%d"), self.done, self.days);
        if self.is_terminal { eprint!("\r{line}\x1b[K") } else { eprintln!("{line}") }
    }

    fn end(&self) {
        if self.is_terminal && self.has_said {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_summed_up_and_control_characters_are_removed() {
        let group = |n: u64| Group { value: format!("v{n}\u{1b}[2J\n"), installations: 100 - n };
        let mut text = String::new();
        part(&mut text, "version", &(0..20).map(group).collect::<Vec<_>>(), 1810);
        assert_eq!(text.lines().count(), 2 + LINES + 1);
        let last: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["5", "more", "415", "22.9%"]);
        assert!(!text.contains('\u{1b}'));
    }
}
