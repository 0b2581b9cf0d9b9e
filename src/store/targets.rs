//! What sqlx connects to, of what is known of a PostgreSQL server by libpq's keywords.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{
    conninfo::{ConnInfo, Environment, refuse},
    error::OpenError,
};

impl ConnInfo {
    /// The servers, to be tried in this order.
    pub fn targets(&self, environment: Environment<'_>) -> Result<Vec<PgConnectOptions>, OpenError> {
        match self.get("target_session_attrs").unwrap_or("any") {
            "any" | "read-write" | "primary" => {}
            _ => {
                return Err(refuse(
                    "`target_session_attrs` (PGTARGETSESSIONATTRS) must lead to a server that takes writes",
                ));
            }
        }
        let hosts: Vec<_> = self.get("host").unwrap_or_default().split(',').map(str::trim).collect();
        let ports: Vec<_> = self.get("port").unwrap_or_default().split(',').map(str::trim).collect();
        if ports.len() != 1 && ports.len() != hosts.len() {
            return Err(refuse("there must be one port, or as many as there are hosts"));
        }
        let target = |(index, host): (usize, &&str)| {
            let port = ports.get(index).or(ports.first()).filter(|port| !port.is_empty()).copied().unwrap_or("5432");
            let port = port.parse().ok().filter(|port: &u16| *port > 0);
            self.target(host, port.ok_or_else(|| refuse("a port must be a number from 1 to 65535"))?, environment)
        };
        hosts.iter().enumerate().map(target).collect()
    }

    fn target(&self, host: &str, port: u16, environment: Environment<'_>) -> Result<PgConnectOptions, OpenError> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        // Its own look at libpq's variables is overruled below.
        let mut options = PgConnectOptions::new_without_pgpass().port(port).ssl_mode(self.ssl_mode()?);
        options = match host {
            "" => options,
            folder if folder.starts_with('/') => options.socket(folder),
            host => options.host(host),
        };
        if let Some(user) = self.get("user") {
            options = options.username(user);
        }
        if let Some(database) = self.get("dbname") {
            options = options.database(database);
        }
        let password = self.get("password").map(str::to_owned);
        if let Some(password) = password.or_else(|| self.password_of(host, port, &options, environment)) {
            options = options.password(&password);
        }
        if let Some(path) = self.get("sslrootcert") {
            options = options.ssl_root_cert(existing(path)?);
        }
        if let Some(path) = self.get("sslcert") {
            options = options.ssl_client_cert(existing(path)?);
        }
        if let Some(path) = self.get("sslkey") {
            options = options.ssl_client_key(existing(path)?);
        }
        if let Some(name) = self.get("application_name") {
            options = options.application_name(name);
        }
        // None at all, rather than an empty one: a pooler refuses what it does not know.
        let settings = settings(self.get("options").unwrap_or_default())?;
        Ok(if settings.is_empty() { options } else { options.options(settings) })
    }

    fn ssl_mode(&self) -> Result<PgSslMode, OpenError> {
        let known = "`sslmode` (PGSSLMODE) must be disable, allow, prefer, require, verify-ca or verify-full";
        self.get("sslmode").unwrap_or("prefer").parse().map_err(|_| refuse(known))
    }

    /// Of the password file, as `host:port:database:user:password` with `*` for any and `\` before a `:`.
    fn password_of(
        &self,
        host: &str,
        port: u16,
        options: &PgConnectOptions,
        environment: Environment<'_>,
    ) -> Option<String> {
        let user = options.get_username();
        let database = options.get_database().unwrap_or(user);
        let host = if host.is_empty() || host.starts_with('/') { "localhost" } else { host };
        let port = port.to_string();
        let home = || environment("HOME").map(|home| Path::new(&home).join(".pgpass"));
        let path = self.get("passfile").map(PathBuf::from).or_else(home)?;
        let text = fs::read_to_string(path).ok()?;
        let wanted = [host, &port, database, user];
        text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let fields = fields(line);
            let (password, names) = fields.split_last().filter(|(_, names)| names.len() == wanted.len())?;
            let fits = |(name, wanted): (&String, &&str)| name == "*" || name == wanted;
            names.iter().zip(&wanted).all(fits).then(|| password.clone())
        })
    }
}

/// The first four fields of a line of the password file, and the rest.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut chars) = (vec![String::new()], line.chars());
    while let Some(char) = chars.next() {
        let char = match char {
            '\\' => chars.next().unwrap_or('\\'),
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            char => char,
        };
        fields.last_mut().expect("never empty").push(char);
    }
    fields
}

/// `-c name=value` and `--name=value`, as the server takes them.
fn settings(text: &str) -> Result<Vec<(String, String)>, OpenError> {
    let (mut settings, mut words) = (Vec::new(), text.split_ascii_whitespace());
    while let Some(word) = words.next() {
        let setting = match word {
            "-c" => words.next().unwrap_or_default(),
            word => word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or_default(),
        };
        let (name, value) = setting.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            refuse("`options` (PGOPTIONS) must be settings as `-c name=value`, without blanks in a value")
        })?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// Missing from the beginning, it is a mistake and not a failure that passes.
fn existing(path: &str) -> Result<&Path, OpenError> {
    let path = Path::new(path);
    fs::metadata(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(url: &str, variables: &[(&str, &str)]) -> Result<Vec<PgConnectOptions>, OpenError> {
        let environment =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut info = ConnInfo::of_url(url)?;
        info.complete(&environment)?;
        info.targets(&environment)
    }

    fn one(url: &str, variables: &[(&str, &str)]) -> PgConnectOptions {
        targets(url, variables).unwrap().remove(0)
    }

    fn text(options: &PgConnectOptions) -> String {
        format!("{options:?}")
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        for (url, host, port, database) in [
            ("postgres://u@db.example/n", "db.example", 5432, "n"),
            ("postgresql://u:p%40@db:6432/n%20m", "db", 6432, "n m"),
            ("postgres://u@[::1]:6432/n", "::1", 6432, "n"),
            ("postgres://u@[2001:db8::1]/n", "2001:db8::1", 5432, "n"),
            ("postgres:///n?host=db&port=1", "db", 1, "n"),
            ("postgres://u:a@b@db/n", "db", 5432, "n"),
        ] {
            let options = one(url, &[]);
            let found = (options.get_host(), options.get_port(), options.get_database().unwrap());
            assert_eq!(found, (host, port, database), "{url}");
        }
        for url in ["postgresql://u@/db?host=/run/pg", "postgres://u@%2Frun%2Fpg/db"] {
            assert_eq!(one(url, &[]).get_socket().unwrap(), Path::new("/run/pg"), "{url}");
        }
        let several = targets("postgres://u@a,b:2,[::1]:3/n?target_session_attrs=read-write", &[]).unwrap();
        let several: Vec<_> = several.iter().map(|target| (target.get_host(), target.get_port())).collect();
        assert_eq!(several, [("a", 5432), ("b", 2), ("::1", 3)]);
    }

    #[test]
    fn variables_complete_what_is_not_said() {
        let mode = |url: &str, mode: &str| text(&one(url, &[("PGSSLMODE", mode)]));
        assert!(mode("postgres://a/b", "require").contains("ssl_mode: Require"));
        assert!(mode("postgres://a/b", "verify-full").contains("ssl_mode: VerifyFull"));
        assert!(mode("postgres://a/b?sslmode=disable", "verify-full").contains("ssl_mode: Disable"));
        assert!(targets("postgres://a/b", &[("PGSSLMODE", "maybe")]).is_err());
        assert_eq!(one("postgres://a/b", &[("PGPORT", "7")]).get_port(), 7);
        assert_eq!(one("postgres://", &[("PGHOST", "h"), ("PGUSER", "u")]).get_username(), "u");
        let options = one("postgres://a/b", &[("PGOPTIONS", "-c geqo=off --work-mem=1MB")]);
        assert_eq!(options.get_options(), Some("-c geqo=off -c work_mem=1MB"));
        assert!(targets("postgres://a/b", &[("PGOPTIONS", "-B 7")]).is_err());
    }

    #[test]
    fn files_of_services_and_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("services"), "[other]\nhost=no\n[mine]\n# so\nhost = db\nport=7\nuser=u\n[last]\nport=8\n")
            .unwrap();
        fs::write(path("passwords"), "# so\nno:7:*:u:wrong\ndb:7:b:u:p\\:\\\\:w\n*:*:*:*:any\n").unwrap();
        let variables =
            [("PGSERVICE", "mine"), ("PGSERVICEFILE", &path("services")), ("PGPASSFILE", &path("passwords"))];
        let options = one("postgres:///b", &variables);
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("db", 7, "u"));
        let with = |url: &str| ConnInfo::of_url(url).unwrap();
        let environment = |name: &str| (name == "PGPASSFILE").then(|| path("passwords"));
        let mut info = with("postgres://u@db:7/b");
        info.complete(&environment).unwrap();
        let password = |host: &str, port| info.password_of(host, port, &options, &environment);
        assert_eq!(password("db", 7).as_deref(), Some("p:\\:w"));
        assert_eq!(password("else", 7).as_deref(), Some("any"));
        assert!(targets("postgres:///b?service=none", &variables).is_err());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_without_its_value() {
        for url in [
            "postgres://a/b?sslpassword=hunter2",
            "postgres://a/b?Password=hunter2",
            "postgres://a/b?hunter2",
            "postgres://a/b?channel_binding=require&x=hunter2",
            "postgres://a/b?hunter2=1",
            "postgres://a:hunter2/b",
            "postgres://a/b?sslmode=hunter2",
            "postgres://a/b?options=hunter2",
            "postgres://a/b?target_session_attrs=hunter2",
            "postgres://u:%ff@a/b",
            "mysql://u:hunter2@a/b",
        ] {
            let error = targets(url, &[]).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        for (name, value) in [("PGCHANNELBINDING", "require"), ("PGREQUIREPEER", "x"), ("PGHOSTADDR", "192.0.2.1")] {
            assert!(targets("postgres://a/b", &[(name, value)]).unwrap_err().to_string().contains(name));
        }
        assert!(
            targets("postgres://a/b?connect_timeout=3&channel_binding=prefer", &[("PGGSSENCMODE", "disable")]).is_ok()
        );
    }
}
