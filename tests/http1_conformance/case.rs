//! A case: bytes on a connection, and the responses to them.

use corelane_test_support::{Backend, Http1Client, TestServer};

/// The request behind each case. It gets a response if the connection goes on, and shows where the
/// server saw the end of the message before it.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nhost: localhost\r\n\r\n";
const LAST_ANSWER: &str = "200 GET /last localhost 0";

pub struct Case {
    /// Starts with the section of RFC 9112, with "9110" and the section of RFC 9110, or with a CVE.
    pub name: String,
    input: Vec<u8>,
    has_last: bool,
    answers: Vec<String>,
    /// Why the answers differ from what the RFC requires or recommends.
    pub deviation: Option<&'static str>,
}

fn case(name: &str, input: impl AsRef<[u8]>, answers: &[&str]) -> Case {
    Case {
        name: name.to_owned(),
        input: input.as_ref().to_vec(),
        has_last: true,
        answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
        deviation: None,
    }
}

/// The server answers with this status and closes the connection.
pub fn refused(name: &str, status: &str, input: impl AsRef<[u8]>) -> Case {
    case(name, input, &[status])
}

/// The server answers as given, and the connection goes on.
pub fn served(name: &str, answer: &str, input: impl AsRef<[u8]>) -> Case {
    let served = format!("200 {answer}");
    case(name, input, &[&served, LAST_ANSWER])
}

/// The server answers as given and closes the connection.
pub fn last(name: &str, answer: &str, input: impl AsRef<[u8]>) -> Case {
    let served = format!("200 {answer}");
    case(name, input, &[&served])
}

impl Case {
    /// The client ends its side behind the input.
    pub fn cut(mut self) -> Self {
        self.has_last = false;
        self.answers.retain(|answer| answer != LAST_ANSWER);
        self
    }

    /// There is no answer at all.
    pub fn unanswered(mut self) -> Self {
        self.answers.clear();
        self
    }

    pub fn deviates(mut self, why: &'static str) -> Self {
        self.deviation = Some(why);
        self
    }

    /// Reports the difference from the case on this server.
    pub async fn run(&self, backend: Backend, server: &TestServer) -> Result<(), String> {
        let mut client = Http1Client::connect(backend, server).await;
        let input = match self.has_last {
            true => [&self.input, LAST].concat(),
            false => self.input.clone(),
        };
        client.send(input).await;
        client.end().await;
        let mut answers = Vec::new();
        while let Some(response) = client.response(self.input.starts_with(b"HEAD ")).await {
            if response.status == 100 {
                continue;
            }
            answers.push(match response.status {
                200 if response.complete => format!("200 {}", response.text()),
                200 => "200 in part".to_owned(),
                status if response.complete && response.closes() => status.to_string(),
                status => format!("{status} without connection: close"),
            });
        }
        match answers == self.answers {
            true => Ok(()),
            false => Err(format!(
                "{}: {answers:?}, not {:?}",
                self.name, self.answers
            )),
        }
    }
}
