//! The embedded migrations; sqlx's macro for this would make cargo build sqlx and its databases twice.

use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// The files of a folder in `migrations`, as pairs of name and text.
macro_rules! embed {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $folder, "/", $name, ".sql")))),+]
    };
}

/// In order.
pub(super) const POSTGRES: [(&str, &str); 7] = embed!("postgres":
    "0001_pings", "0002_statistics", "0003_set_aside", "0004_outbox", "0005_message_snapshot", "0006_derived", "0007_reporting");
/// In order.
pub(super) const SQLITE: [(&str, &str); 6] = embed!("sqlite":
    "0001_pings", "0002_statistics", "0003_set_aside", "0004_outbox", "0005_message_snapshot", "0006_derived");

/// A migrator of files named `NUMBER_NAME`.
pub(super) fn migrator(files: &'static [(&'static str, &'static str)]) -> Migrator {
    let migrations = files.iter().map(|(file, sql)| {
        let (version, name) = file.split_once('_').expect("a number and a name");
        let version = version.parse().expect("a number");
        let sql = AssertSqlSafe(*sql).into_sql_str();
        Migration::new(version, name.replace('_', " ").into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Migrations of later versions are checked by the stores; these also lock, because sqlx's lock belongs to a session, which
    // poolers do not provide.
    migrator.set_ignore_missing(true).set_locking(false);
    migrator
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A file that is not embedded would never be applied.
    #[test]
    fn all_files_are_embedded_in_order() {
        for (folder, embedded) in [("postgres", &POSTGRES[..]), ("sqlite", &SQLITE[..])] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut files: Vec<_> =
                fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            let names: Vec<_> = embedded.iter().map(|(name, _)| format!("{name}.sql")).collect();
            assert_eq!(names, files);
            let versions: Vec<_> = migrator(embedded).iter().map(|migration| migration.version).collect();
            assert_eq!(versions, (1..=i64::try_from(names.len()).unwrap()).collect::<Vec<_>>());
        }
    }
}
