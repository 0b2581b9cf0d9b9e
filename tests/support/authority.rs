//! A temporary certificate authority.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// An authority (`ca.crt`), and a certificate issued by it (`server.crt`, `server.key`).
pub struct Authority(TempDir);

impl Authority {
    /// The certificate is for these names, such as `DNS:localhost` or `IP:10.0.0.1`, separated by commas.
    pub fn new(names: &str) -> Self {
        let authority = Self(tempfile::Builder::new().prefix("nf-tls-").tempdir().unwrap());
        fs::write(authority.path("names"), format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n")).unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for command in [
            format!("req -x509 {key} -keyout ca.key -out ca.crt -days 30 -subj /CN=authority"),
            format!("req -new {key} -keyout server.key -out server.csr -subj /CN=postgres"),
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.crt"
                .to_owned(),
        ] {
            let mut openssl = Command::new("openssl");
            let output = openssl.args(command.split(' ')).current_dir(authority.0.path()).output();
            let output = output.expect("this test needs `openssl`: install the Debian package `openssl`");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        authority
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
