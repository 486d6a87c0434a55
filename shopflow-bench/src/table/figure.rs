//! What is measured, how it is shown, and what moved since another run.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// A change of less than this is taken for noise.
const NOISE: f64 = 0.1;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// At least so much of the floor.
    ShareAtLeast(f64),
    /// At most so many times the floor.
    TimesAtMost(f64),
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What it is of.
    pub(crate) name: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: String,
    /// The same of the floor, measured in the same run.
    pub(crate) floor: Option<f64>,
    /// What was wanted.
    pub(crate) goal: Option<Goal>,
}

impl Figure {
    /// A figure without a floor or a goal.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self {
            name: name.into(),
            value,
            unit: unit.to_owned(),
            floor: None,
            goal: None,
        }
    }

    /// The same beside its floor.
    pub(crate) fn over(mut self, floor: f64) -> Self {
        self.floor = Some(floor);
        self
    }

    /// The same with what is wanted.
    pub(crate) fn wanted(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value / floor)
    }

    /// What is wanted, and whether it is so.
    fn verdict(&self) -> Option<(String, bool)> {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        Some(match self.goal? {
            Goal::AtLeast(least) => (format!(">= {least}"), self.value >= least),
            Goal::AtMost(most) => (format!("<= {most}"), self.value <= most),
            Goal::ShareAtLeast(least) => (format!(">= {least:.2} x"), ratio >= least),
            Goal::TimesAtMost(most) => (format!("<= {most:.1} x"), ratio <= most),
        })
    }
}

/// The table as text.
pub(crate) fn render(figures: &[Figure]) -> String {
    let mut text = format!(
        "{:<52}{:>11} {:<9}{:>11}{:>8}  {}\n",
        "", "figure", "unit", "floor", "ratio", "wanted"
    );
    for figure in figures {
        let floor = figure.floor.map_or_else(String::new, number);
        let ratio = figure.ratio();
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let wanted = match figure.verdict() {
            Some((goal, true)) => goal,
            Some((goal, false)) => format!("{goal}  MISSED"),
            None => String::new(),
        };
        let value = number(figure.value);
        let Figure { name, unit, .. } = figure;
        let line = format!("{name:<52}{value:>11} {unit:<9}{floor:>11}{ratio:>8}  {wanted}");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// What moved by more than noise since `before`, by ratio where there is a floor.
pub(crate) fn compare(before: &[Figure], now: &[Figure]) -> String {
    let mut text = String::new();
    for figure in now {
        let Some(old) = before.iter().find(|old| old.name == figure.name) else {
            let _ = writeln!(text, "{:<52} new", figure.name);
            continue;
        };
        let (was, is, of) = match (old.ratio(), figure.ratio()) {
            (Some(was), Some(is)) => (was, is, "of its floor"),
            _ => (old.value, figure.value, figure.unit.as_str()),
        };
        if (is - was).abs() > was.abs() * NOISE {
            let change = 100.0 * (is - was) / was;
            let (was, is) = (number(was), number(is));
            let name = &figure.name;
            let _ = writeln!(text, "{name:<52}{was:>11} -> {is:<9} {of} ({change:+.0} %)");
        }
    }
    match text.is_empty() {
        true => "nothing moved by more than 10 %\n".to_owned(),
        false => text,
    }
}

/// Three digits at least, and no more behind the point than tell something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_on_the_ratio_is_missed_or_met_by_the_ratio() {
        let goal = Goal::ShareAtLeast(0.6);
        let figure = |value| Figure::new("a", value, "/s").over(100.0).wanted(goal);
        assert_eq!(figure(60.0).verdict(), Some((">= 0.60 x".to_owned(), true)));
        assert_eq!(
            figure(59.0).verdict(),
            Some((">= 0.60 x".to_owned(), false))
        );
    }

    #[test]
    fn a_comparison_tells_of_ratios_that_moved_and_is_silent_on_noise() {
        let figure = |name, value| Figure::new(name, value, "/s").over(100.0);
        let (before, now) = (
            [figure("a", 50.0), figure("b", 50.0)],
            [figure("a", 53.0), figure("b", 60.0)],
        );
        let told = compare(&before, &now);
        assert!(told.contains("b ") && told.contains("(+20 %)"), "{told}");
        assert!(!told.starts_with("a "), "{told}");
    }
}
