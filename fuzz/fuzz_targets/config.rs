//! A configuration: a file of YAML, and lines that are flags. It loads or draws complaints, and gives no secret away.
//!
//! Lines that begin with `--set ` are flags, the others the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nutritionfacts::config::{Layer, load, show};

/// Stands in the place of a secret.
const SECRET: &str = "hunter2-planted-as-a-secret-of-more-than-32-characters";

fuzz_target!(|text: &str| {
    let (flags, file): (Vec<_>, Vec<_>) = text.split('\n').partition(|line| line.starts_with("--set "));
    let mut layers = vec![
        Layer::variable("NUTRITIONFACTS__STORE__PASSWORD", "store.password", SECRET),
        Layer::variable("NUTRITIONFACTS__PRIVACY__KEY", "privacy.key", SECRET),
        Layer::file("fuzz.yaml", file.join("\n")),
    ];
    layers.extend(flags.iter().take(8).filter_map(|line| {
        let (key, value) = line["--set ".len()..].split_once('=')?;
        Some(Layer::flag("--set", key, value))
    }));
    check(&layers, text.contains(SECRET));
    // Without the password, which most configurations do not go together with.
    check(&layers[1..], text.contains(SECRET));
});

fn check(layers: &[Layer], knows_the_secret: bool) {
    let keeps = |shown: &str| assert!(knows_the_secret || !shown.contains(SECRET), "gives a secret away: {shown}");
    let loaded = match load(layers) {
        Ok(loaded) => loaded,
        Err(complaints) => {
            assert!(!complaints.is_empty(), "refused without a word");
            for complaint in complaints {
                let shown = complaint.to_string();
                assert!(!shown.contains(char::is_control), "a complaint is one line: {shown:?}");
                keeps(&shown);
            }
            return;
        }
    };
    keeps(&format!("{loaded:?}"));
    keeps(&serde_json::to_string(&loaded).expect("a configuration has a JSON form"));
    let shown = show(&loaded, true);
    keeps(&shown);
    let reload = loaded.reload(layers).expect("what has loaded loads again");
    assert!(reload.applied.is_empty() && reload.needs_restart.is_empty(), "{reload:?}");
    assert_eq!(reload.loaded.hash, loaded.hash);
    // What is shown is a configuration, with the secrets put in again instead of what stands for them.
    let redacted =
        |line: &&str| !["  key: \"[redacted]\"", "  password: \"[redacted]\""].iter().any(|end| line.starts_with(end));
    let shown = shown.lines().filter(redacted).collect::<Vec<_>>().join("\n");
    let secrets = layers.iter().filter(|layer| format!("{layer:?}").contains("environment")).cloned();
    if loaded.config.store.url.is_none() {
        let again = load(&[Layer::file("shown.yaml", shown)].into_iter().chain(secrets).collect::<Vec<_>>());
        let again = again.unwrap_or_else(|complaints| panic!("what is shown does not load: {complaints:?}"));
        assert_eq!(again.hash, loaded.hash, "what is shown is another configuration");
    }
}
