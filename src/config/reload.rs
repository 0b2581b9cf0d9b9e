//! Applies changed layers to a running configuration: live keys take effect, others need a restart.

use serde_json::Value;

use super::{
    complaint::Complaint,
    layer::{Layer, variable},
    load::{Loaded, finish, load, merge},
    schema::Key,
    walk::Set,
};

/// The result of a reload.
#[derive(Debug, Clone)]
pub struct Reload {
    /// The new active configuration: live keys as in the layers, all others as at start.
    pub loaded: Loaded,
    /// Live keys that have changed.
    pub applied: Vec<String>,
    /// Keys that differ from their active value and need a restart.
    pub needs_restart: Vec<String>,
    /// See [`Loaded::misplaced`].
    pub misplaced: Vec<Complaint>,
}

impl Loaded {
    /// Returns the active configuration with the live keys of the given layers.
    ///
    /// # Errors
    ///
    /// As [`load`], and if the new live keys contradict the active values of other keys.
    pub fn reload(&self, layers: &[Layer]) -> Result<Reload, Vec<Complaint>> {
        let wanted = load(layers)?;
        let (live, fixed): (Vec<_>, Vec<_>) = Key::all().into_iter().partition(|(_, key)| key.is_live());
        let of = |loaded: &Self, keys: &[(String, Key<'_>)]| -> Set {
            let set = keys.iter().filter_map(|(path, _)| Some((path.clone(), loaded.set.0.get(path)?.clone())));
            set.collect()
        };
        let mut set = of(self, &fixed);
        set.extend(of(&wanted, &live));
        let loaded = finish(set, wanted.misplaced.0.clone())?;
        let (before, after, asked) = (self.config.values(), loaded.config.values(), wanted.config.values());
        let differ = |keys: Vec<(String, Key<'_>)>, left: &Value, right: &Value| -> Vec<String> {
            let differ = keys.into_iter().filter(|(path, key)| {
                let pointer = pointer(path);
                // Secrets have no visible value.
                let secret = |loaded: &Self| loaded.set.0.get(path).map(|(value, _)| value.clone());
                left.pointer(&pointer) != right.pointer(&pointer)
                    || (key.is_secret() && secret(self) != secret(&wanted))
            });
            differ.map(|(path, _)| path).collect()
        };
        let (applied, needs_restart) = (differ(live, &before, &after), differ(fixed, &before, &asked));
        let misplaced = loaded.misplaced();
        Ok(Reload { loaded, applied, needs_restart, misplaced })
    }

    /// Keys in a followed ConfigMap that need a restart and differ from their active value. They are
    /// never applied, because a process that starts without the API server could not have them.
    #[must_use]
    pub fn misplaced(&self) -> Vec<Complaint> {
        if self.misplaced.0.is_empty() {
            return Vec::new();
        }
        let all = self.set.0.iter().chain(&self.misplaced.0).map(|(path, set)| (path.clone(), set.clone())).collect();
        let (is, asked) = (self.config.values(), merge(&all).0.values());
        let differs = |path: &str| is.pointer(&pointer(path)) != asked.pointer(&pointer(path));
        let differing = self.misplaced.0.iter().filter(|(path, _)| differs(path));
        let complaint = |(path, (_, layer)): (&String, &(Value, String))| {
            Complaint::new(layer, path, "needs a restart, and a ConfigMap that is followed sets live keys only")
                .remedy(format!("set it in a file or by {}, and restart", variable(path)))
        };
        differing.map(complaint).collect()
    }
}

/// JSON pointer of a key in the tree of values.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULT, sections::Reply};

    fn file(text: &str) -> Result<Loaded, Vec<Complaint>> {
        load(&[Layer::file("x", text)])
    }

    #[test]
    fn a_reload_applies_live_keys_and_reports_the_others() {
        let running = file("api: {reply: empty}\ningest: {lanes: 2}\nprivacy: {key_file: k}").unwrap();
        let layers = [Layer::file(
            "x",
            "ingest: {lanes: 3, max_batch: 7}\nhttp: {body_timeout: 1m, idle_timeout: 75s}\nprivacy: {key_file: k}",
        )];
        let reload = running.reload(&layers).unwrap();
        assert_eq!(reload.applied, ["api.reply", "ingest.max_batch"]);
        assert_eq!(reload.needs_restart, ["http.body_timeout", "ingest.lanes"]);
        assert_eq!((reload.loaded.config.ingest.lanes, reload.loaded.config.ingest.max_batch), (2, 7));
        assert_eq!(reload.loaded.origins["api.reply"], DEFAULT);
        assert_ne!(reload.loaded.hash, running.hash);
        let same = reload.loaded.reload(&layers).unwrap();
        assert_eq!((same.applied.len(), same.needs_restart.len(), same.loaded.hash), (0, 2, reload.loaded.hash));
    }

    #[test]
    fn a_reload_notices_a_secret_and_does_not_show_it() {
        let store = |password: &str| {
            Layer::file(
                "x",
                format!("store: {{host: a, user: b, database: c, password: {password}}}\nprivacy: {{key_file: k}}"),
            )
        };
        let running = load(&[store("planted")]).unwrap();
        let reload = running.reload(&[store("implanted")]).unwrap();
        assert_eq!(reload.needs_restart, ["store.password"]);
        assert!(!format!("{reload:?}").contains("planted"));
    }

    #[test]
    fn a_reload_is_rejected_if_new_values_contradict_active_ones() {
        let file =
            |text: &str| [Layer::variable("DATABASE_URL", "store.url", "postgres://a/b"), Layer::file("x", text)];
        let running = load(&file("privacy: {identifiers: none}")).unwrap();
        assert!(running.reload(&file("privacy: {key_file: k}")).is_err());
        assert!(running.reload(&[Layer::file("x", "privacy: [")]).is_err());
    }

    #[test]
    fn a_config_map_sets_live_keys_and_other_keys_are_reported() {
        let layers = |text: &str| {
            [Layer::file("x", "http: {body_timeout: 60s}\ningest: {lanes: 2}"), Layer::config_map("live", text)]
        };
        let text = "api: {reply: empty}\nhttp: {body_timeout: 1m}\ningest: {lanes: 3}\nkubernetes: {enabled: 'true'}";
        let loaded = load(&layers(text)).unwrap();
        assert_eq!((loaded.ingest.lanes, loaded.api.reply), (2, Reply::Empty));
        assert_eq!(loaded.origins["api.reply"], "configmap/live");
        let told = |loaded: &Loaded| loaded.misplaced().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            told(&loaded),
            [
                "configmap/live: ingest.lanes: needs a restart, and a ConfigMap that is followed sets live keys only; \
                 set it in a file or by NUTRITIONFACTS__INGEST__LANES, and restart",
                "configmap/live: kubernetes.enabled: needs a restart, and a ConfigMap that is followed sets live keys \
                 only; set it in a file or by NUTRITIONFACTS__KUBERNETES__ENABLED, and restart",
            ]
        );
        let reload = load(&layers("")).unwrap().reload(&layers("ingest: {lanes: 3}")).unwrap();
        assert_eq!((reload.applied.len(), reload.needs_restart.len(), told(&reload.loaded).len()), (0, 0, 1));
        assert_eq!(load(&layers("ingest: {lanes: 0}")).unwrap_err().len(), 1, "a wrong value is wrong anywhere");
    }
}
