//! How a PostgreSQL server is named, as libpq takes it: a URL, libpq's variables, a service file and a password file
//! (<https://www.postgresql.org/docs/current/libpq-connect.html>). What cannot be honoured is refused, and no value is ever told.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::error::OpenError;
use percent_encoding::percent_decode_str;

/// What is honoured, and libpq's variable for it.
const HONOURED: [(&str, &str); 14] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("application_name", "PGAPPNAME"),
    ("options", "PGOPTIONS"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];
/// What changes nothing here: limits and encodings are ours, keepalive is the system's.
const WITHOUT_EFFECT: [&str; 12] = [
    "connect_timeout",
    "client_encoding",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslcompression",
    "sslsni",
    "krbsrvname",
    "gsslib",
];
/// What is not there, its variable, and the values that do not ask for it.
const NOT_THERE: [(&str, &str, &[&str]); 16] = [
    ("hostaddr", "PGHOSTADDR", &[]),
    ("channel_binding", "PGCHANNELBINDING", &["disable", "prefer"]),
    ("gssencmode", "PGGSSENCMODE", &["disable", "prefer"]),
    ("gssdelegation", "PGGSSDELEGATION", &["0"]),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", &["disable"]),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", &["3.0"]),
    ("replication", "", &["false", "off", "no", "0"]),
    ("require_auth", "PGREQUIREAUTH", &[]),
    ("requirepeer", "PGREQUIREPEER", &[]),
    ("sslcertmode", "PGSSLCERTMODE", &["allow"]),
    ("sslcrl", "PGSSLCRL", &[]),
    ("sslcrldir", "PGSSLCRLDIR", &[]),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", &["TLSv1.3"]),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("sslnegotiation", "PGSSLNEGOTIATION", &["postgres"]),
    ("sslpassword", "", &[]),
];
/// How sqlx writes some of them.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
];

/// What is known of a server, by libpq's keywords.
#[derive(Default)]
pub(super) struct ConnInfo(BTreeMap<&'static str, String>);

/// Reads a variable of the environment.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn refuse(what: impl Into<String>) -> OpenError {
    OpenError::ConnInfo { what: what.into() }
}

impl ConnInfo {
    /// Of a URL: `postgres://[user[:password]@][host[:port][,…]][/dbname][?keyword=value&…]`.
    pub fn of_url(url: &str) -> Result<Self, OpenError> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or(OpenError::Scheme)?;
        let mut info = Self::default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        for (keyword, text) in [("user", user), ("password", password), ("dbname", database)] {
            info.add(keyword, decoded(text)?);
        }
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            // The colons of an IPv6 address are within brackets.
            let end = host.find(']').unwrap_or(0);
            let (name, port) = match host[end..].rfind(':') {
                Some(colon) => (&host[..end + colon], &host[end + colon + 1..]),
                None => (host, ""),
            };
            names.push(decoded(name)?);
            ports.push(port);
        }
        info.add("host", names.join(","));
        info.add("port", if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") });
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else { return Err(OpenError::PostgresUrl) };
            info.parameter(&decoded(name)?, decoded(value)?, "store.url")?;
        }
        Ok(info)
    }

    /// Sets what is not empty.
    pub fn add(&mut self, keyword: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.insert(keyword, value);
        }
    }

    /// Sets what is not set yet.
    pub fn add_if_missing(&mut self, keyword: &'static str, value: &str) {
        if self.get(keyword).is_none() {
            self.add(keyword, value);
        }
    }

    /// What is not set yet, from the service file and the environment.
    pub fn complete(&mut self, environment: Environment<'_>) -> Result<(), OpenError> {
        let service = self.get("service").map(str::to_owned).or_else(|| environment("PGSERVICE"));
        if let Some(service) = service.filter(|service| !service.is_empty()) {
            let own = std::mem::take(self);
            self.service(&service, environment)?;
            self.0.extend(own.0);
        }
        for (keyword, variable) in HONOURED {
            if self.get(keyword).is_none()
                && let Some(value) = environment(variable)
            {
                self.add(keyword, value);
            }
        }
        for (keyword, variable, neutral) in NOT_THERE {
            let value = environment(variable).filter(|_| !variable.is_empty()).unwrap_or_default();
            if !is_neutral(&value, neutral) {
                return Err(refuse(format!("{variable} (`{keyword}`) is set and cannot be honoured: unset it")));
            }
        }
        Ok(())
    }

    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str)
    }

    /// A parameter that somebody has written down in `place`.
    fn parameter(&mut self, name: &str, value: String, place: &str) -> Result<(), OpenError> {
        let name = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name, |(_, keyword)| *keyword);
        if let Some((keyword, _)) = HONOURED.iter().find(|(keyword, _)| *keyword == name) {
            self.add(keyword, value);
            return Ok(());
        }
        if let Some(setting) = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']')) {
            let before = self.get("options").unwrap_or_default();
            let options = format!("{before} -c {setting}={value}");
            self.add("options", options);
            return Ok(());
        }
        if name == "ssl" && value == "true" {
            self.add("sslmode", "require");
            return Ok(());
        }
        if WITHOUT_EFFECT.contains(&name) || name == "statement-cache-capacity" {
            return Ok(());
        }
        if let Some((keyword, _, neutral)) = NOT_THERE.iter().find(|(keyword, ..)| *keyword == name) {
            return if is_neutral(&value, neutral) {
                Ok(())
            } else {
                Err(refuse(format!("{place}: the parameter `{keyword}` cannot be honoured: take it out")))
            };
        }
        // The name may be a part of a password.
        Err(refuse(format!("{place} has a parameter that libpq does not know, after `?` or `&`")))
    }

    fn service(&mut self, service: &str, environment: Environment<'_>) -> Result<(), OpenError> {
        let home = environment("HOME").map(|home| Path::new(&home).join(".pg_service.conf"));
        let system = environment("PGSYSCONFDIR").map(|folder| Path::new(&folder).join("pg_service.conf"));
        let files = environment("PGSERVICEFILE").map(PathBuf::from).or(home).into_iter().chain(system);
        for path in files {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let mut lines = text.lines().map(str::trim).skip_while(|line| *line != format!("[{service}]"));
            if lines.next().is_none() {
                continue;
            }
            let lines = lines.take_while(|line| !line.starts_with('['));
            for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let Some((name, value)) = line.split_once('=') else {
                    return Err(refuse(format!("{}: a line has no `=`", path.display())));
                };
                self.parameter(name.trim(), value.trim().to_owned(), &path.display().to_string())?;
            }
            return Ok(());
        }
        Err(refuse("the service that is named (`service`, PGSERVICE) is in no service file"))
    }
}

/// Whether a value asks for nothing that is not there.
fn is_neutral(value: &str, neutral: &[&str]) -> bool {
    value.is_empty() || neutral.contains(&value)
}

fn decoded(text: &str) -> Result<String, OpenError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| OpenError::PostgresUrl)
}
