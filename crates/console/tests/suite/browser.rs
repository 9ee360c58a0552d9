//! As much of a browser as the tests need: cookies, forms and links, and full control of headers.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A browser with the cookies that it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    address: SocketAddr,
    pub(crate) cookies: Vec<(String, String)>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All cookies that it sets, with their attributes.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        let set = self.headers.iter().filter(|(name, _)| name == "set-cookie");
        set.map(|(_, value)| value.as_str()).collect()
    }

    /// The inputs of the form with this action, with their values.
    pub(crate) fn form(&self, action: &str) -> Vec<(String, String)> {
        let start = format!("action=\"{action}\"");
        let (_, rest) = self
            .body
            .split_once(&start)
            .unwrap_or_else(|| panic!("no form for {action} in\n{}", self.body));
        let (form, _) = rest.split_once("</form>").unwrap();
        let inputs = form.split("<input ").skip(1);
        inputs
            .filter_map(|input| {
                let (input, _) = input.split_once('>').unwrap();
                let is_unchecked = input.contains("checkbox") && !input.contains(" checked");
                let name = attribute(input, "name")?;
                let value = attribute(input, "value").unwrap_or_default();
                (!is_unchecked).then_some((name, value))
            })
            .collect()
    }

    /// The addresses of all links and forms.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in ["href=\"", "action=\"", "src=\"", "hx-get=\""] {
            let rest = self.body.split(name).skip(1);
            found.extend(rest.map(|rest| unescaped(rest.split('"').next().unwrap())));
        }
        found
    }

    /// The first link whose address has this part.
    pub(crate) fn link(&self, part: &str) -> String {
        let found = self
            .addresses()
            .into_iter()
            .find(|link| link.contains(part));
        found.unwrap_or_else(|| panic!("no link with {part} in\n{}", self.body))
    }
}

impl Browser {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookies: Vec::new(),
        }
    }

    /// Gets a page.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.request("GET", path, &[], "").await
    }

    /// Posts a form as a browser does.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let origin = format!("http://localhost:{}", self.address.port());
        let headers = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.request("POST", path, &headers, &body.finish()).await
    }

    /// Sends a request with the cookies, and keeps those of the response.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let host = format!("localhost:{}", self.address.port());
        let cookies = self.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let mut all = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "host") {
            all.push(("host", &host));
        }
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        let reply = send(self.address, method, path, &all, body).await;
        for cookie in reply.cookies() {
            let (name, rest) = cookie.split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            self.cookies.retain(|(found, _)| found != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        reply
    }

    /// Logs in by the form.
    pub(crate) async fn log_in(&mut self, token: &str) -> Reply {
        let page = self.get("/login").await;
        let mut fields = page.form("/login");
        for (name, value) in &mut fields {
            if name == "token" {
                token.clone_into(value);
            }
        }
        self.submit("/login", &fields).await
    }

    /// Posts the inputs of a form.
    pub(crate) async fn submit(&mut self, path: &str, fields: &[(String, String)]) -> Reply {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.post(path, &fields).await
    }

    /// The CSRF token of this session.
    pub(crate) async fn csrf(&mut self) -> String {
        let page = self.get("/confirm?operation=reload").await;
        let form = page.form("/perform");
        form.into_iter().find(|(name, _)| name == "csrf").unwrap().1
    }

    /// The id of the session.
    pub(crate) fn session(&self) -> Option<&str> {
        let mut cookies = self.cookies.iter();
        let found = cookies.find(|(name, _)| name == "reflexarc-session");
        found.map(|(_, value)| value.as_str())
    }
}

/// One request over a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\n{body}");
    // The service may answer, and close, before it has read all of a body.
    drop(stream.write_all(request.as_bytes()).await);
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Reply {
        status: status.unwrap_or_default().parse().unwrap_or_default(),
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(unescaped(rest.split('"').next()?))
}

fn unescaped(text: &str) -> String {
    [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}
