//! The panels of the Installations dashboard, compared with simple calculations from the rows.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::{fleet::Fleet, support::grafana};

/// Panels that cannot be calculated simply, and where they are checked.
const ELSEWHERE: [(u32, &str); 2] =
    [(14, "the_adoption_of_a_release_ends_at_half_of_all"), (35, "groups_are_summed_and_small_groups_hidden")];

fn naive() -> BTreeMap<u32, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reporting/naive.sql");
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("\n-- 1\n").unwrap();
    let mut all = BTreeMap::new();
    for part in format!("1\n{rest}").split("\n-- ") {
        let (id, sql) = part.split_once('\n').unwrap();
        all.insert(id.parse().unwrap(), format!("{before}\n{}", months(sql)));
    }
    all
}

/// `share(n)`: of a cohort, n months later.
fn months(sql: &str) -> String {
    [1, 2, 3, 6, 9, 12].iter().fold(sql.to_owned(), |sql, n| {
        let active = format!("count(DISTINCT instance_id) FILTER (WHERE month = cohort + interval '{n} months' AND month + interval '1 month' <= now() AT TIME ZONE 'UTC')");
        sql.replace(&format!("share({n})"), &format!("nullif({active}, 0)::numeric / count(DISTINCT instance_id)"))
    })
}

/// Rows as objects, sorted.
async fn rows(fleet: &mut Fleet, sql: &str) -> Vec<Value> {
    let text = fleet.text(&format!("SELECT coalesce(jsonb_agg(t), '[]') FROM ({sql}) AS t")).await;
    let mut rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    rows.sort_by_key(key);
    rows
}

/// Numbers by value: `0.5` and `0.500` are equal.
fn key(row: &Value) -> Vec<String> {
    let object = row.as_object().unwrap();
    object
        .iter()
        .map(|(name, value)| match value.as_f64() {
            Some(number) => format!("{name}={number:.6}"),
            None => format!("{name}={value}"),
        })
        .collect()
}

#[tokio::test]
async fn panels_show_the_numbers_of_the_rows() {
    let mut fleet = Fleet::of(1200, 20).await;
    fleet.derive().await;
    // At a fixed moment, whatever the clock does meanwhile.
    fleet.run("BEGIN ISOLATION LEVEL REPEATABLE READ; CREATE FUNCTION pg_temp.since() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT now() - interval '365 days' $$").await;
    let variables = grafana::all_of(&mut fleet.connection, &[("ordinary", &["true"])]).await;
    let naive = naive();
    let mut failures = Vec::new();
    for panel in grafana::panels("installations") {
        if ELSEWHERE.iter().any(|(id, _)| *id == panel.id) {
            continue;
        }
        let expected =
            naive.get(&panel.id).unwrap_or_else(|| panic!("tests/reporting/naive.sql lacks panel {}", panel.id));
        for sql in panel.targets.iter().map(grafana::query) {
            let sql = grafana::fill(sql, &variables, ("now() - interval '365 days'", "now()"));
            let said: Vec<_> = rows(&mut fleet, &sql).await.iter().map(key).collect();
            let is: Vec<_> =
                rows(&mut fleet, &expected.replace("since()", "pg_temp.since()")).await.iter().map(key).collect();
            assert!(!is.is_empty(), "the fleet has nothing for panel {} ({})", panel.id, panel.title);
            // A limited list contains the first rows of all.
            let is_cut = sql.contains("LIMIT") && is.len() > said.len() && said.len() >= 20;
            let equal = if is_cut { said.iter().all(|row| is.contains(row)) } else { said == is };
            if !equal {
                failures.push(format!(
                    "{} {}:\n  said {:?}\n  is   {:?}",
                    panel.id,
                    panel.title,
                    &said[..said.len().min(3)],
                    &is[..is.len().min(3)]
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Grafana's session may have any time zone, and the server's day is that of UTC.
#[tokio::test]
async fn the_time_zone_of_the_session_changes_no_number() {
    let mut fleet = Fleet::of(300, 20).await;
    fleet.derive().await;
    fleet.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    let variables = grafana::all_of(&mut fleet.connection, &[("ordinary", &["true"])]).await;
    // Time zones in which the dates differ in either direction.
    for until in [
        "date_trunc('day', now(), 'UTC') - interval '4 hours'",
        "date_trunc('day', now(), 'UTC') - interval '20 hours'",
    ] {
        for panel in grafana::panels("installations") {
            for sql in panel.targets.iter().map(grafana::query) {
                let since = format!("{until} - interval '365 days'");
                let sql = grafana::fill(sql, &variables, (&since, until));
                let mut said = Vec::new();
                for zone in ["UTC", "America/Los_Angeles", "Pacific/Auckland"] {
                    fleet
                        .run(&format!("SET timezone = '{zone}'; CREATE TEMP TABLE told AS {sql}; SET timezone = 'UTC'"))
                        .await;
                    said.push(rows(&mut fleet, "SELECT * FROM told").await.iter().map(key).collect::<Vec<_>>());
                    fleet.run("DROP TABLE told").await;
                }
                let title = &panel.title;
                assert!(said[0] == said[1] && said[0] == said[2], "{title}: {said:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_adoption_of_a_release_ends_at_half_of_all() {
    let mut fleet = Fleet::empty().await;
    // Two weeks of 0.15 alone, then 0.16 with a quarter, then with half, then 0.17 replaces it.
    fleet
        .run(
            "INSERT INTO activity SELECT 'week', begins::date, true, release, 'release', 'linux', '', instances, 0, instances
            FROM (VALUES ('2026-01-05', '0.15', 100), ('2026-01-12', '0.15', 75), ('2026-01-12', '0.16', 25), ('2026-01-19', '0.15', 50), ('2026-01-19', '0.16', 50),
                ('2026-01-26', '0.15', 50), ('2026-01-26', '0.16', 10), ('2026-01-26', '0.17', 40)) AS _ (begins, release, instances)",
        )
        .await;
    let sql = "SELECT string_agg(concat_ws(' ', release, first_week, coalesce(days_to_half::text, 'never')), ', ' ORDER BY release) FROM reporting.adoption";
    assert_eq!(fleet.text(sql).await, "0.15 2026-01-05 0, 0.16 2026-01-12 7, 0.17 2026-01-26 never");
}

#[tokio::test]
async fn groups_are_summed_and_small_groups_hidden() {
    let mut fleet = Fleet::empty().await;
    let rank = r#"{"number": 1, "report": "01900000-0000-7000-8000-000000000000", "position": 0}"#;
    fleet
        .run(&format!(
            "INSERT INTO facilities SELECT id, now(), now(), '{rank}', true, '', '', 1000, 5, told::jsonb, '{{\"genders\": null, \"ages\": null}}', '{rank}', '{{}}', 0, 0, 0, 0, 0
            FROM (VALUES ('f', '{{\"genders\": [9, 990, 0, 0], \"ages\": [344.6, 497.1, 9.2, 0, 0, 0, 0]}}'),
                ('g', '{{\"genders\": [0, 1, 0, 0], \"ages\": [0.2, 0, 0.2, 0, 0, 0, 0]}}'),
                ('h', '{{\"genders\": null, \"ages\": null}}')) AS _ (id, told)"
        ))
        .await;
    let sql = "SELECT string_agg(people || ' ' || age || ' ' || number, ', ' ORDER BY age) FROM reporting.ages";
    assert_eq!(fleet.text(sql).await, "learners 0–17 345, learners 18–24 497");
    let sql = "SELECT string_agg(people || ' ' || gender || ' ' || number, ', ') FROM reporting.genders";
    assert_eq!(fleet.text(sql).await, "learners MALE 991");
}
