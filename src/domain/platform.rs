//! Derives short values from the long platform strings (docs/protocol.md, 9.3–9.5).

/// The values of [`os`] for platforms that were sent.
pub const SYSTEMS: [&str; 6] = ["windows", "macos", "linux", "android", "chromeos", "other"];

/// `windows`, `macos`, `linux`, `android`, `chromeos`, `other`, or `''` if nothing was sent.
///
/// Android reports itself as Linux or as unknown, so the installer (`apk`) and the mode (`android-…`) take precedence.
#[must_use]
pub fn os(platform: &str, installer: &str, mode: &str) -> &'static str {
    let has = |needle: &str| {
        platform.as_bytes().windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
    };
    let apk = installer.strip_prefix("apk").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '-']));
    if apk || mode.starts_with("android-") || has("android") {
        "android"
    } else if has("chromeos") || has("cros") && !has("microsoft") {
        "chromeos"
    } else if has("windows") {
        "windows"
    } else if has("darwin") || has("macos") {
        "macos"
    } else if has("linux") {
        "linux"
    } else if platform.is_empty() {
        ""
    } else {
        "other"
    }
}

/// The leading number of Python's version string: two or three parts, such as `3.9.2`; `''` if there is none.
#[must_use]
pub fn python_version(sysversion: &str) -> &str {
    let end = sysversion.bytes().position(|byte| !(byte.is_ascii_digit() || byte == b'.')).unwrap_or(sysversion.len());
    let number = sysversion[..end].trim_end_matches('.');
    let mut parts = number.split('.');
    let well_formed = (2..=3).contains(&number.split('.').count()) && parts.all(|part| (1..=4).contains(&part.len()));
    if well_formed { number } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operating_systems_are_recognised() {
        for (platform, installer, mode, expected) in [
            ("Linux-4.15.0-189-generic-x86_64-with-Ubuntu-18.04-bionic", "dpkg", "", "linux"),
            ("Windows-10-10.0.19041-SP0", "Windows", "", "windows"),
            ("Darwin-18.7.0-x86_64-i386-64bit", "whl", "", "macos"),
            ("macOS-13.4-arm64-arm-64bit", "Mac - 0.1", "", "macos"),
            ("Unknown (Android?)", "", "", "android"),
            ("Linux-4.14.117-perf+-aarch64-with-libc", "apk - 0.1.2", "", "android"),
            ("Linux-4.14.117-aarch64-with-libc", "apk", "", "android"),
            ("Linux-4.14.117-aarch64-with-libc", "apkeditor", "", "linux"),
            ("Linux-4.14.117-aarch64-with-libc", "", "android-testing", "android"),
            ("Linux-5.4.0-ChromeOS-x86_64", "", "", "chromeos"),
            ("Linux-5.15.90.1-microsoft-standard-WSL2-x86_64-with-glibc2.35", "", "", "linux"),
            ("FreeBSD-13.1-RELEASE-amd64", "", "", "other"),
            ("", "", "", ""),
        ] {
            assert_eq!(os(platform, installer, mode), expected, "{platform}");
            assert!(expected.is_empty() || SYSTEMS.contains(&expected), "{expected}");
        }
    }

    #[test]
    fn python_versions_are_read() {
        for (sysversion, expected) in [
            ("3.9.2 (default, Feb 28 2021, 17:03:44) \n[GCC 10.2.1 20210110]", "3.9.2"),
            ("2.7.13 (v2.7.13:a06454b1afa1, Dec 17 2016, 20:42:59) [MSC v.1500 32 bit (Intel)]", "2.7.13"),
            ("3.6.15+ (heads/3.6)", "3.6.15"),
            ("3.14.0rc1 (main)", "3.14.0"),
            ("3.4", "3.4"),
            ("3", ""),
            ("3.1.2.4", ""),
            ("3..2", ""),
            ("PyPy", ""),
            ("", ""),
        ] {
            assert_eq!(python_version(sysversion), expected, "{sysversion}");
        }
    }
}
