//! The buttons of Tilt, as far as they need no cluster. `tilt/check` has the tests of the Tiltfile.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use nutritionfacts::{
    config::{Layer, load},
    domain::message::Message,
};
use serde_json::Value;

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tilt").join(file)).unwrap()
}

#[test]
fn the_valid_live_configuration_is_accepted_and_the_invalid_one_rejected() {
    load(&[Layer::file("live-good.yaml", text("live-good.yaml"))]).unwrap();
    let complaints = load(&[Layer::file("live-bad.yaml", text("live-bad.yaml"))]).err().unwrap();
    assert!(complaints[0].to_string().contains("http.max_body"), "{}", complaints[0]);
}

#[test]
fn the_message_is_valid() {
    let mut object: Value = serde_saphyr::from_str(&text("message.yaml")).unwrap();
    let mut document = object["spec"].take();
    document["id"] = object["metadata"]["name"].take();
    assert_eq!(Message::read(&document).err(), None);
}

/// A program under `tilt/restart` that writes a line whenever it is started.
struct Restarted {
    child: Child,
    folder: tempfile::TempDir,
}

impl Restarted {
    fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tilt/restart");
        // `nohup` ignores SIGHUP, and a shell cannot trap signals that were ignored when it started.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(script).args(["sh", "-c", program]);
        let child = command.current_dir(&folder).spawn().unwrap();
        Self { child, folder }
    }

    fn starts(&self) -> PathBuf {
        self.folder.path().join("starts")
    }

    fn wait_for_starts(&self, count: usize) {
        let starts = || fs::read_to_string(self.starts()).unwrap_or_default().lines().count();
        eventually(|| starts() == count);
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn eventually(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_mins(1), "this never came true");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_is_restarted_after_it_has_stopped_by_itself() {
    // It takes a moment to stop, as the server does.
    let program = "trap 'sleep 0.2; echo end >>ends; exit 0' TERM; echo begin >>starts; while :; do sleep 0.05; done";
    let mut restarted = Restarted::new(program);
    restarted.wait_for_starts(1);
    restarted.signal("-HUP");
    restarted.wait_for_starts(2);
    assert_eq!(fs::read_to_string(restarted.folder.path().join("ends")).unwrap(), "end\n");

    restarted.signal("-TERM");
    assert!(restarted.child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(restarted.folder.path().join("ends")).unwrap(), "end\nend\n");
    restarted.wait_for_starts(2);
}

/// Kubernetes must see the failure, and count restarts.
#[test]
fn a_program_that_fails_is_not_restarted() {
    let mut restarted = Restarted::new("echo begin >>starts; exit 7");
    assert_eq!(restarted.child.wait().unwrap().code(), Some(7));
    restarted.wait_for_starts(1);
}
