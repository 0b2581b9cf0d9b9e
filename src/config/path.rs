//! The path of a value in a layer, including list indices: `ingest.mode_rules[0].networks`.

use std::fmt;

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

/// The steps from the root of a layer.
#[derive(Debug, Clone, Default)]
pub(super) struct Path<'a>(Vec<Step<'a>>);

impl<'a> Path<'a> {
    /// The path extended by one step.
    pub(super) fn down(&self, step: Step<'a>) -> Self {
        Self(self.0.iter().copied().chain([step]).collect())
    }

    /// Whether it leads into a list.
    pub(super) fn in_list(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Item(_)))
    }

    /// The smallest tree that contains the value at this path.
    pub(super) fn around(&self, value: Value) -> Value {
        self.0.iter().rev().fold(value, |value, step| match step {
            Step::Key(name) => Value::Object(Map::from_iter([((*name).to_owned(), value)])),
            Step::Item(_) => Value::Array(vec![value]),
        })
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if depth == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_shown_and_built() {
        let path = Path::default().down(Step::Key("a")).down(Step::Key("b")).down(Step::Item(3)).down(Step::Key("c"));
        assert_eq!(path.to_string(), "a.b[3].c");
        assert_eq!(path.around(json!(1)), json!({"a": {"b": [{"c": 1}]}}));
        assert!(path.in_list() && !Path::default().down(Step::Key("a")).in_list());
    }
}
