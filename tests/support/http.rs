//! HTTP/1.1 at the level of bytes: sends exactly these bytes, and reads exactly one reply.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::LIMIT;

/// One TCP connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// A reply, read to its end by its `Content-Length`.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// Header names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn says_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("the server listens")
    }

    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Closes the sending side.
    pub fn finish_sending(&self) {
        // The server may have closed already.
        let _ = self.stream.get_ref().shutdown(std::net::Shutdown::Write);
    }

    /// Reads the next reply; `with_body` is false after HEAD, whose length announces a body that is not sent.
    pub fn read(&mut self, with_body: bool) -> io::Result<Reply> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| broken(&format!("no status line: {first:?}")))?;
        let mut headers = vec![];
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken("a header without a colon"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: vec![] };
        if status >= 200 && status != 204 && with_body {
            let length = reply.header("content-length").ok_or_else(|| broken("a reply without a length"))?;
            reply.body = vec![0; length.parse().map_err(|_| broken("a length that is no number"))?];
            self.stream.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    pub fn reply(&mut self) -> Reply {
        self.read(true).expect("a complete reply")
    }

    pub fn ask(&mut self, bytes: &[u8]) -> Reply {
        self.send(bytes).expect("the server reads");
        self.reply()
    }

    /// Waits for the end of the connection; returns whether no further byte came.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
        }
    }

    /// Whether another request on this connection is answered.
    pub fn is_open(&mut self) -> bool {
        self.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok()
            && self.read(true).is_ok_and(|reply| reply.status == 200)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = vec![];
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

/// A request framed as by Kolibri 0.19.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: telemetry.learningequality.org\r\nUser-Agent: Kolibri/0.19.5 python-requests/2.27.1\r\n\
         Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub const PINGBACK: &str = "/api/v1/pingback";
pub const STATISTICS: &str = "/api/v1/statistics";
