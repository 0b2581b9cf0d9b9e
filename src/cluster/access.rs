//! Access to the API server, and explanations of its errors.

use std::{error::Error, time::Duration};

use kube::{Client, Config, core::Status};

/// How long a watch lasts before the API server ends it and a new one begins.
pub(super) const WATCH: Duration = Duration::from_secs(30);
/// Timeout for a connection; the API server is nearby.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Length limit of logged answers, in bytes.
const LONGEST_PROBLEM: usize = 400;

/// How to reach the API server, and the namespace of our objects.
#[derive(Debug, Clone)]
pub(super) struct Access {
    namespace: Option<String>,
}

impl Access {
    pub(super) fn new(namespace: Option<String>) -> Self {
        Self { namespace }
    }

    /// Returns a client and the namespace. Built anew after each failure, so that a rotated token, a new authority or a
    /// moved API server is picked up. Uses `KUBECONFIG` or `~/.kube/config` if there is one, otherwise the pod's service account.
    pub(super) async fn client(&self) -> Result<(Client, String), String> {
        let mut config = Config::infer().await.map_err(|error| with_causes(&error))?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // A watch is silent for up to its whole duration; no other answer takes longer.
        config.read_timeout = Some(WATCH + Duration::from_secs(15));
        config.reset_reader_on_write = true;
        // Callers retry and log themselves.
        config.default_retry = false;
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| with_causes(&error))?;
        Ok((client, namespace))
    }
}

/// Explains an error in a log line, with a remedy if one is known.
pub(super) fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => explain_status(status),
        error => with_causes(error),
    }
}

/// Explains an error answer of the API server.
pub(super) fn explain_status(status: &Status) -> String {
    let Status { code, message, .. } = status;
    let problem = match code {
        401 => "401: the API server does not accept our token".to_owned(),
        403 => format!("403: {message}; bind the Role of docs/configuration.md to our service account"),
        // The kind is missing, not an object.
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
        // Some errors already include the text of their source.
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
    fn an_error_answer_is_explained_with_a_remedy() {
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
