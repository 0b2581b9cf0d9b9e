//! Any two components can be combined in either order, and then equal the chart with the values of both.

use super::{
    equality::{BASE, differences, values},
    strict,
    tools::{build, chart},
    tree::{Tree, components},
};

/// Components do not know each other. If the chart's features do, a pair is not equal to it, but builds and is valid.
const UNEQUAL: [(&str, &str, &str); 3] = [
    ("cnpg", "postgres-dev", "two databases: the one that is named last is used"),
    ("cnpg", "network-policy", "the chart lets the server out to the pods of the cluster only"),
    (
        "network-policy",
        "postgres-dev",
        "the chart lets the server out to the pod of the database only, and guards that",
    ),
];

#[test]
fn every_pair_of_components_builds_and_is_the_chart_with_the_values_of_both() {
    let (tree, components) = (Tree::new(), components());
    let mut faults = Vec::new();
    for (index, first) in components.iter().enumerate() {
        for second in &components[index + 1..] {
            let expected = chart("telemetry", &[BASE, &values(first), &values(second)]);
            let found = build(&tree, &tree.overlay("telemetry", &[first, second]));
            strict::check(&found);
            let exception = UNEQUAL.iter().find(|(a, b, _)| (a, b) == (&first.as_str(), &second.as_str()));
            let lines = differences(expected.clone(), found);
            match exception {
                None => faults.extend(lines.iter().map(|line| format!("{first} and {second}: {line}"))),
                Some((.., reason)) if lines.is_empty() => {
                    faults.push(format!("{first} and {second} are equal to the chart, although {reason}"));
                }
                Some(_) => {}
            }

            let reversed = build(&tree, &tree.overlay("telemetry", &[second, first]));
            strict::check(&reversed);
            if exception.is_none() {
                let lines = differences(expected, reversed);
                faults.extend(lines.iter().map(|line| format!("{second} and {first}: {line}")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
