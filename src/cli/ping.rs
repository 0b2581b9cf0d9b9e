//! The subcommand `nutritionfacts ping`: sends one ping as Kolibri does, and checks that it was stored. For new
//! installations: the image has no shell and no curl.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Uri,
    client::conn::http1::handshake,
    header::{CONTENT_TYPE, HOST},
    http::uri::Scheme,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{sleep, timeout},
};

use super::{Failure, config::print, with_causes};

/// It has no id, and a mode that excludes it from reports, so it does not count as an installation.
const PING: &str = r#"{"version": "0.19.5", "mode": "ping"}"#;
/// The series that counts stored pings.
const STORED: &str = "nutritionfacts_pingbacks_total{outcome=\"stored\"} ";
/// Longest reply that is read, in bytes.
const MAX_REPLY: usize = 1024 * 1024;
/// Timeout of one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Where to send it.
#[derive(Debug, Args)]
pub struct Options {
    /// The public listener of the server
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: Uri,
    /// The admin listener, to check that the ping is counted; all addresses of the name are queried and their counts added
    #[arg(long, value_name = "URL")]
    admin_url: Option<Uri>,
    /// How long to retry while the server is not available
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration, value_name = "TIME")]
    timeout: Duration,
}

impl Options {
    /// Sends the ping and prints the result.
    ///
    /// # Errors
    ///
    /// If the ping was not stored before the timeout.
    pub async fn run(self) -> Result<(), Failure> {
        let mut last = String::from("no answer");
        match timeout(self.timeout, self.until_kept(&mut last)).await {
            Ok(reply) => print(&format!("the ping was stored; the reply is {reply}\n")),
            Err(_) => Err(Failure::running(format!("the ping was not stored within {:?}: {last}", self.timeout))),
        }
    }

    async fn until_kept(&self, last: &mut String) -> String {
        loop {
            match self.once().await {
                Ok(reply) => return reply,
                Err(problem) => *last = with_causes(problem.as_ref()),
            }
            sleep(PAUSE).await;
        }
    }

    async fn once(&self) -> Result<String, Problem> {
        let before = self.stored().await?;
        let address = addresses(&self.url).await?.first().copied().ok_or("the name has no address")?;
        let reply = ask(address, &self.url, Method::POST, "/api/v1/pingback", PING).await?;
        while self.admin_url.is_some() && self.stored().await? <= before {
            sleep(PAUSE).await;
        }
        Ok(reply)
    }

    /// Number of pings that all servers behind the admin address have stored.
    async fn stored(&self) -> Result<u64, Problem> {
        let Some(url) = &self.admin_url else { return Ok(0) };
        let mut sum = 0;
        for address in addresses(url).await? {
            let metrics = ask(address, url, Method::GET, "/metrics", "").await?;
            let count = metrics.lines().find_map(|line| line.strip_prefix(STORED)).ok_or("no such metric")?;
            sum += count.parse::<u64>()?;
        }
        Ok(sum)
    }
}

async fn addresses(url: &Uri) -> Result<Vec<SocketAddr>, Problem> {
    let host = url.host().filter(|_| url.scheme() == Some(&Scheme::HTTP));
    let host = host.ok_or("an address has the form http://HOST:PORT")?.trim_matches(['[', ']']);
    Ok(lookup_host((host, url.port_u16().unwrap_or(80))).await?.collect())
}

async fn ask(
    address: SocketAddr,
    url: &Uri,
    method: Method,
    path: &str,
    body: &'static str,
) -> Result<String, Problem> {
    let question = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The connection ends when the sender is dropped.
        tokio::spawn(connection);
        let host = url.authority().map_or("", |authority| authority.as_str());
        let request = Request::builder().method(method).uri(path).header(HOST, host);
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(body)))?;
        let reply = sender.send_request(request).await?;
        let status = reply.status();
        let text = Limited::new(reply.into_body(), MAX_REPLY).collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&text).into_owned();
        if status.is_success() {
            Ok(text)
        } else {
            Err(format!("{path} was answered {status}: {}", text.trim()).into())
        }
    };
    timeout(PATIENCE, question).await?
}
