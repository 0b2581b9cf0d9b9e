//! How the API server is reached, and what is wrong when it is not.

use std::{error::Error, time::Duration};

use kube::{Client, Config, core::Status};

/// After so long the API server ends a watch, and it begins anew.
pub(super) const WATCH: Duration = Duration::from_secs(30);
/// For a connection: the API server is near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of what is logged about an answer.
const LONGEST_PROBLEM: usize = 400;

/// Where the API server is, and in which namespace our objects are.
#[derive(Debug, Clone)]
pub(super) struct Access {
    namespace: Option<String>,
}

impl Access {
    pub(super) fn new(namespace: Option<String>) -> Self {
        Self { namespace }
    }

    /// A client and the namespace. Made anew after each failure, so that a rotated token, a new authority or a moved API
    /// server is found. By `KUBECONFIG` or `~/.kube/config` if there is one, else as a pod does.
    pub(super) async fn client(&self) -> Result<(Client, String), String> {
        let mut config = Config::infer().await.map_err(|error| with_causes(&error))?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // A watch is quiet for its whole time, and no answer is longer in coming.
        config.read_timeout = Some(WATCH + Duration::from_secs(15));
        config.reset_reader_on_write = true;
        // Whoever asks tries again by itself, and says so.
        config.default_retry = false;
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| with_causes(&error))?;
        Ok((client, namespace))
    }
}

/// What is wrong, for a log line.
pub(super) fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => explain_status(status),
        error => with_causes(error),
    }
}

/// The same for an answer of the API server.
pub(super) fn explain_status(status: &Status) -> String {
    let Status { code, message, .. } = status;
    let problem = match code {
        401 => "401: the API server does not accept our token".to_owned(),
        403 => format!("403: {message}; bind the Role of docs/configuration.md to our service account"),
        // Of a kind, not of an object.
        404 if message.contains("could not find the requested resource") || message.contains("page not found") => {
            "404: there is no such kind; install the CRD with `nutritionfacts crd | kubectl apply -f -`".to_owned()
        }
        code => format!("{code}: {message}"),
    };
    short(problem)
}

fn with_causes(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let inner = error.to_string();
        // Some wrap an error and print it as well.
        if !text.ends_with(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = error.source();
    }
    short(text)
}

fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_PROBLEM) {
        text.truncate(end);
        text.push('…');
    }
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str) -> Status {
        Status { code, message: message.into(), ..Status::default() }
    }

    #[test]
    fn an_answer_is_explained_with_a_remedy() {
        assert!(
            explain_status(&status(403, "configmaps is forbidden")).starts_with("403: configmaps is forbidden; bind")
        );
        assert!(
            explain_status(&status(404, "the server could not find the requested resource"))
                .contains("nutritionfacts crd | kubectl apply")
        );
        assert_eq!(explain_status(&status(500, "a\nb")), "500: a b");
        assert_eq!(explain_status(&status(500, &"ä".repeat(1000))).chars().count(), LONGEST_PROBLEM + 1);
    }
}
