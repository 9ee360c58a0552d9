//! Files that are watched: every way to replace one reloads once, and the store's writes do not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use reflexarc_service::Config;
use reflexarc_service::config::Secrets;

use crate::samples::event_text;
use crate::serving::{Parts, RULE, Serving, parts};

impl Serving {
    /// The number of reloads so far.
    async fn reloads(&self) -> u64 {
        let (_, metrics) = self.get("/metrics", Some("secret")).await;
        let metrics = metrics.as_str().unwrap_or_default().to_owned();
        let lines = metrics.lines();
        let counts = lines.filter_map(|line| line.strip_prefix("reflexarc_reloads_total{"));
        counts
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

const CONFIG: &str = r#"
rules = "rules"
[store]
path = "store.db"
[[http.tokens]]
name = "all"
roles = ["ingest", "read", "operate"]
token = { file = "secrets/token" }
[targets.out]
type = "file"
path = "out.ndjson"
"#;

/// How files are replaced, with a name.
type Way<'a> = (&'a str, Box<dyn Fn() + 'a>);

fn ways<'a>(config: &'a Path, secrets: &'a Path, rule: &'a Path) -> Vec<Way<'a>> {
    let rename = move || {
        let copy = rule.with_file_name(".failed.toml.swp");
        fs::write(&copy, RULE).unwrap();
        fs::rename(&copy, rule).unwrap();
    };
    let create = move || {
        fs::remove_file(rule).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        fs::write(rule, RULE).unwrap();
    };
    let touch = move || {
        let file = fs::File::options().append(true).open(config).unwrap();
        file.set_modified(std::time::SystemTime::now()).unwrap();
    };
    let swap = move || {
        symlink("..2", secrets.join("..new")).unwrap();
        fs::rename(secrets.join("..new"), secrets.join("..data")).unwrap();
    };
    let steps = move || {
        for size in [0, 10, 20, RULE.len()] {
            fs::write(rule, &RULE[..size]).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    vec![
        (
            "write in place",
            Box::new(move || fs::write(rule, format!("{RULE}\n")).unwrap()),
        ),
        ("rename over", Box::new(rename)),
        ("delete and create", Box::new(create)),
        ("touch", Box::new(touch)),
        ("swap of a link", Box::new(swap)),
        ("many steps", Box::new(steps)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_replace_a_file_reloads_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (config, token, rule) = (
        path("reflexarc.toml"),
        path("secrets"),
        path("rules/failed.toml"),
    );
    // Secrets as Kubernetes mounts them.
    for version in ["..1", "..2"] {
        fs::create_dir_all(token.join(version)).unwrap();
        fs::write(token.join(version).join("token"), "secret").unwrap();
    }
    symlink("..1", token.join("..data")).unwrap();
    symlink("..data/token", token.join("token")).unwrap();
    fs::write(&config, CONFIG).unwrap();
    let made = parts(&folder);
    let config_read = Config::load(&config, Secrets::Resolve(&|_| None)).unwrap();
    let rules = config_read.load_rules().unwrap();
    let serving = Serving::run(
        folder,
        Parts {
            config: config_read,
            rules,
            ..made
        },
    )
    .await;

    let ways = ways(&config, &token, &rule);
    let mut number = 0;
    for (expected, (way, change)) in (1..).zip(&ways) {
        change();
        let begun = Instant::now();
        while serving.reloads().await < expected {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{way} is not seen"
            );
            // The store stands beside the configuration and is written all the time.
            number += 1;
            let headers = [("authorization", "Bearer secret")];
            let body = event_text(&number.to_string(), "eni-1");
            assert_eq!(serving.post_to("/events", &headers, body).await.0, 200);
        }
        assert_eq!(serving.reloads().await, expected, "{way}");
    }
    // Two more looks at the files, and none sees a change.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(serving.reloads().await, ways.len() as u64);
    serving.stop().await;
}
