//! The links in all Markdown files of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reflexarc_delivery::http::EgressPolicy;

use crate::markdown::{Document, documents};

/// The links of one document.
struct Links {
    document: String,
    folder: PathBuf,
    anchors: Vec<String>,
    targets: Vec<String>,
}

fn all_links() -> Vec<Links> {
    let read = |(name, path): (String, PathBuf)| {
        let Document { links, anchors, .. } = Document::read(&path);
        Links {
            document: name,
            folder: path.parent().unwrap().to_owned(),
            anchors,
            targets: links,
        }
    };
    documents().into_iter().map(read).collect()
}

fn is_external(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// What is wrong with a link to a file or heading of the repository.
fn fault(links: &Links, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = links.folder.join(path);
    let exists = path.is_empty() || file.exists();
    if !exists {
        return Some("the file does not exist".to_owned());
    }
    if anchor.is_empty() {
        return None;
    }
    let has_anchor = if path.is_empty() {
        links.anchors.iter().any(|name| name == anchor)
    } else if file.extension().is_some_and(|end| end == "md") {
        Document::read(&file)
            .anchors
            .iter()
            .any(|name| name == anchor)
    } else {
        // `file.rs#L10` is of the code host.
        anchor.starts_with('L')
    };
    (!has_anchor).then(|| format!("there is no heading `{anchor}`"))
}

#[test]
fn every_relative_link_leads_to_a_file_and_heading() {
    let mut faults = Vec::new();
    let mut count = 0;
    for links in all_links() {
        for target in links.targets.iter().filter(|target| !is_external(target)) {
            count += 1;
            let fault = fault(&links, target);
            faults.extend(fault.map(|fault| format!("{}: {target}: {fault}", links.document)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count >= 50, "{count}");
}

#[test]
fn broken_links_are_found() {
    let links = Links {
        document: String::new(),
        folder: crate::root().join("docs"),
        anchors: vec!["here".to_owned()],
        targets: Vec::new(),
    };
    for valid in [
        "#here",
        "seed.md",
        "../README.md#one-rule",
        "../rules",
        "seed.md#sentences",
    ] {
        assert_eq!(fault(&links, valid), None, "{valid}");
    }
    for broken in [
        "#there",
        "sead.md",
        "../README.md#one-rul",
        "../rules/no.toml",
    ] {
        assert!(fault(&links, broken).is_some(), "{broken}");
    }
}

/// Every external link, with the documents that have it.
fn external() -> BTreeMap<String, BTreeSet<String>> {
    let mut external: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for links in all_links() {
        for target in links.targets.iter().filter(|target| is_external(target)) {
            let page = target.split('#').next().unwrap().to_owned();
            external
                .entry(page)
                .or_default()
                .insert(links.document.clone());
        }
    }
    external
}

/// `REFLEXARC_CHECK_LINKS=1` asks the servers too, which a test that runs everywhere cannot.
#[test]
fn external_links_are_https_and_answered_if_asked() {
    let external = external();
    for (target, documents) in &external {
        let url = reqwest::Url::parse(target);
        let is_valid = url.is_ok_and(|url| url.scheme() == "https" && url.has_host());
        assert!(
            is_valid || target.starts_with("mailto:"),
            "{documents:?}: {target}"
        );
    }
    assert!(external.len() >= 10, "{}", external.len());
    if std::env::var_os("REFLEXARC_CHECK_LINKS").is_none() {
        return;
    }
    let pages = external.keys().filter(|target| target.starts_with("https"));
    let faults = request_faults(pages.cloned().collect());
    let faults = faults.into_iter().map(|(target, fault)| {
        let documents = &external[&target];
        format!("{documents:?}: {target}: {fault}")
    });
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong with pages: that nothing answers, or that they are gone.
fn request_faults(targets: Vec<String>) -> BTreeMap<String, String> {
    // It installs what is needed for TLS; a client of its own follows redirects and uses a proxy.
    drop(EgressPolicy::operator_hosts().client(None).unwrap());
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .user_agent("reflexarc link check")
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut requests = tokio::task::JoinSet::new();
        for target in targets {
            let request = client.get(&target).send();
            requests.spawn(async move { (target, fault_of(request.await)) });
        }
        let results = requests.join_all().await;
        let faults = results
            .into_iter()
            .filter_map(|(target, fault)| fault.map(|fault| (target, fault)));
        faults.collect()
    })
}

fn fault_of(response: reqwest::Result<reqwest::Response>) -> Option<String> {
    match response {
        // Sites refuse programs (403, 405, 429) where they answer browsers.
        Ok(response) => {
            let status = response.status().as_u16();
            matches!(status, 404 | 410 | 500..).then(|| format!("status {status}"))
        }
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn pages_that_are_gone_are_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let answers = std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).unwrap();
            let is_gone = head[..read].starts_with(b"GET /gone ");
            let status = if is_gone { "404 Not Found" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let (gone, here) = (format!("{server}/gone"), format!("{server}/here"));
    let faults = request_faults(vec![gone.clone(), here]);
    assert_eq!(faults, BTreeMap::from([(gone, "status 404".to_owned())]));
    answers.join().unwrap();
}

#[test]
fn the_site_has_every_page() {
    let docs = crate::root().join("docs");
    let contents = Document::read(&docs.join("SUMMARY.md")).links;
    let index = Document::read(&docs.join("README.md")).links;
    let listed: BTreeSet<PathBuf> = contents.iter().map(|page| resolve(&docs, page)).collect();
    let pages = documents().into_iter().map(|(_, path)| path);
    let pages = pages.filter(|path| path.starts_with(&docs) && !path.ends_with("SUMMARY.md"));
    for page in pages {
        assert!(
            listed.contains(&page),
            "docs/SUMMARY.md has no {}",
            page.display()
        );
    }
    // The index leads to all that the table of contents has, the recipes through their own index.
    let linked: BTreeSet<PathBuf> = index.iter().map(|page| resolve(&docs, page)).collect();
    let index_pages = contents
        .iter()
        .filter(|page| !page.starts_with("cookbook/"));
    for page in index_pages.filter(|page| *page != "README.md") {
        let path = resolve(&docs, page);
        assert!(
            linked.contains(&path),
            "docs/README.md does not link {page}"
        );
    }
}

/// The file of a link, without its anchor.
fn resolve(folder: &Path, target: &str) -> PathBuf {
    let path = folder.join(target.split('#').next().unwrap());
    path.canonicalize().unwrap_or(path)
}
