//! SQL for PostgreSQL uses only forms that a distributed PostgreSQL (Citus) accepts. Each rejected form has an equivalent one.

use std::{collections::BTreeMap, fs, path::Path};

/// Tables that are distributed there, by a second column of their key.
const SPREAD: [&str; 3] = ["pings", "pingbacks", "profiles"];

/// All SQL texts: files, constants in the code of the store in PostgreSQL, and dashboards.
fn texts() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = BTreeMap::new();
    for folder in ["src/store/sql", "src/store/postgres", "src/store", "migrations/postgres", "dashboards/source"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_file() && !name.contains("sqlite") {
                texts.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(texts.len() > 30, "{:?}", texts.keys());
    texts
}

/// Without comments, and with single spaces.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Why a text is rejected, if it is.
fn refused(text: &str) -> Option<String> {
    let text = plain(text);
    if text.contains("LATERAL (SELECT") {
        return Some("LATERAL: JOIN with `id = ANY (ARRAY(…))` and bounds on the id".into());
    }
    if text.contains("OFFSET 0") || text.contains(" LIMIT 1)") {
        return Some("LIMIT or OFFSET in a subquery".into());
    }
    for table in SPREAD {
        let head = format!("INSERT INTO {table} (");
        if text.split(&head).skip(1).any(|insert| {
            let end = insert.find("INSERT INTO").unwrap_or(insert.len());
            insert[..end].contains("ON CONFLICT (id)")
        }) {
            return Some(format!("ON CONFLICT (id) into {table}: the key may have a second column"));
        }
        for (at, _) in text.match_indices(&format!("FROM {table} WHERE {table}.")) {
            let before = text[..at].trim_end();
            let opening = before.rfind("(SELECT").map_or("", |start| before[..start].trim_end());
            if !opening.is_empty()
                && !opening.ends_with("ARRAY")
                && !opening.ends_with("FROM")
                && !opening.ends_with("AS")
                && !opening.ends_with("JOIN")
            {
                return Some(format!("a scalar subquery over {table}: JOIN with `id = ANY (ARRAY(…))`"));
            }
        }
        for function in text.split("CREATE FUNCTION ").skip(1) {
            let end = function.find("$$;").or_else(|| function.find("; $$")).unwrap_or(function.len());
            let function = &function[..end];
            if function.contains("LANGUAGE sql") && function.contains(&format!("FROM {table} ")) {
                return Some(format!("a function in LANGUAGE sql that reads {table}: plpgsql"));
            }
        }
    }
    if text.contains(r"\d") {
        return Some(
            r"\d in a regular expression: [0-9], as in a database of ICU it matches the digits of all scripts".into(),
        );
    }
    let modifying = text.contains("AS ( INSERT") || text.contains("AS ( UPDATE") || text.contains("AS ( DELETE");
    if modifying && text.contains(") VALUES (") && text.contains("WITH ") {
        return Some("VALUES under a modifying CTE: SELECT".into());
    }
    None
}

#[test]
fn every_sql_text_uses_accepted_forms() {
    let refused: Vec<_> =
        texts().iter().filter_map(|(name, text)| Some(format!("{name}: {}", refused(text)?))).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn rejected_forms_are_detected() {
    for text in [
        "SELECT * FROM lines CROSS JOIN LATERAL (SELECT * FROM pings WHERE pings.id = lines.id LIMIT 1) AS ping",
        "SELECT * FROM a LEFT JOIN LATERAL (SELECT 1 FROM pings WHERE pings.id = a.id OFFSET 0) AS b ON true",
        "INSERT INTO pings (id, ip)\n SELECT 1 ON CONFLICT (id) DO NOTHING",
        "INSERT INTO statistics SELECT id, (SELECT id FROM pings WHERE pings.id = report.pingback) FROM report",
        r"SELECT CASE WHEN version ~ '^\d+$' THEN version::int END FROM profiles",
        "CREATE FUNCTION f(a int) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM pingbacks WHERE id > a $$;",
        "WITH a AS (\n INSERT INTO pings (id) SELECT 1 RETURNING id) INSERT INTO outbox (batch) VALUES ($1)",
    ] {
        assert!(refused(text).is_some(), "{text}");
    }
    assert_eq!(
        refused("WITH a AS (SELECT 1) -- LATERAL\nSELECT * FROM a CROSS JOIN LATERAL json_to_recordset(a.b) AS c"),
        None
    );
}
