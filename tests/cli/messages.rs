//! The subcommand `nutritionfacts messages check`: its output for authors of messages.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

const GOOD: &str = "id: a\nstage: Active\ndate: 2026-11-01\ntranslations: {en: {title: T, message: M}}\n";

/// Exit code, stdout, stderr.
fn check(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nutritionfacts"));
    command.args(["messages", "check"]).args(arguments).current_dir(folder).env_clear();
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn valid_messages_are_accepted() {
    let two = format!("{GOOD}---\n{}", GOOD.replace("id: a", "id: b"));
    let folder = folder(&[("one.yaml", GOOD), ("two.yaml", &two.replace("id: a", "id: c"))]);
    let told = |arguments: &[&str]| {
        let (code, stdout, stderr) = check(folder.path(), arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        stdout
    };
    assert_eq!(told(&["one.yaml"]), "the message is valid\n");
    assert_eq!(told(&["."]), "all 3 messages are valid\n");
    assert_eq!(told(&["--set", "messages.files=[one.yaml, two.yaml]"]), "all 3 messages are valid\n");
}

#[test]
fn every_error_is_reported_with_file_line_and_document() {
    let wrong = format!("{GOOD}---\nid: b\nstage: Active\nversionRange: '<0.16'\ndate: 2026-11-01T10:00:00Z\n");
    let folder = folder(&[("m.yaml", &wrong), ("n.yaml", GOOD)]);
    let (code, stdout, stderr) = check(folder.path(), &["m.yaml", "n.yaml"]);
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    assert_eq!(
        stdout,
        "m.yaml:8: document 2 (b): versionRange: comparison 1 has no version of three numeric parts; write `*`, or comparisons such as `>=0.15.0,<0.18.0`\n\
         m.yaml:9: document 2 (b): date: is not a date; write it as `2026-11-01`, without a time\n\
         m.yaml:6: document 2 (b): translations: is missing\n\
         n.yaml:1: document 1 (a): id: is already used by a message in m.yaml; use another one\n"
    );
}

#[test]
fn errors_of_an_audience_are_reported_with_key_and_remedy() {
    let audience = "\
audience:
  countries: [TZ, tz, UK, Kenya, NO]
  installers: [Windows, '']
  os: [windows, macOS, beos]
  modes: ['', demoserver, ' ']
  languages: [sw, sw_tz]
  installer: [Mac]
";
    let folder = folder(&[("m.yaml", &format!("{GOOD}{audience}"))]);
    let (code, stdout, stderr) = check(folder.path(), &["m.yaml"]);
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    let line = |line: u8, problem: &str| format!("m.yaml:{line}: document 1 (a): audience.{problem}\n");
    let systems = "`windows`, `macos`, `linux`, `android`, `chromeos`, `other`";
    let expected = [
        line(11, "installer: is not a key of a message; did you mean `installers`?"),
        line(6, "countries.1: is not a country's code of ISO 3166-1; did you mean `TZ`?"),
        line(6, "countries.2: is not a country's code of ISO 3166-1; did you mean `GB`?"),
        line(6, "countries.3: is not a country's code of ISO 3166-1; write two capital letters, as `TZ`"),
        line(7, "installers.1: is empty"),
        line(8, &format!("os.1: is not one of {systems}; did you mean `macos`?")),
        line(8, &format!("os.2: is not one of {systems}")),
        line(9, "modes.2: is empty"),
        line(
            10,
            "languages.1: is not a language code; write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`",
        ),
    ];
    assert_eq!(stdout, expected.concat());
}

#[test]
fn a_date_in_the_future_is_noted() {
    let text = format!("{GOOD}---\n{}", GOOD.replace("id: a", "id: b").replace("2026-11-01", "9999-12-31"));
    let folder = folder(&[("m.yaml", &text)]);
    let (code, stdout, stderr) = check(folder.path(), &["m.yaml"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(
        stdout,
        "m.yaml:8: document 2 (b): date: 9999-12-31 is in the future; devices show only the newest message, so this one \
         is held back until then\nall 2 messages are valid\n"
    );
    fs::write(folder.path().join("m.yaml"), text.replace("stage: Active", "stage: Withdrawn")).unwrap();
    assert_eq!(check(folder.path(), &["m.yaml"]).1, "all 2 messages are valid\n");
}

#[test]
fn unreadable_files_exit_with_2() {
    let folder = folder(&[("notes.txt", "nothing")]);
    let (code, _, stderr) = check(folder.path(), &["nowhere.yaml"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("nowhere.yaml: cannot be read: No such file"), "{stderr}");
    let (code, _, stderr) = check(folder.path(), &[]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("name a PATH or set `messages.files`"), "{stderr}");
    let (code, stdout, _) = check(folder.path(), &["."]);
    assert_eq!((code, stdout.as_str()), (Some(0), "these files contain no messages\n"));
}
