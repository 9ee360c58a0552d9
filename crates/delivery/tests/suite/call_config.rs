//! The configuration of targets that take calls.

use std::path::Path;

use jiff::SignedDuration;
use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, TargetConfig, targets};
use reflexarc_delivery::{CallAdmission, ChangeLimit};
use reflexarc_diagnostic::Diagnostic;
use reflexarc_diagnostic::toml::{Document, FaultCodes};

/// Reads targets with these variables; also the secrets that a redactor gets.
fn read_with(
    text: &str,
    variables: &[(&str, &str)],
) -> (Vec<TargetConfig>, Vec<Diagnostic>, Vec<String>) {
    let environment = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
    let context = ConfigContext::new(Path::new("/nonexistent"), Secrets::Resolve(&environment));
    let root = ConfigTable::new(&context, document.root());
    let targets = targets(&root);
    root.finish();
    let (secrets, _) = context.into_found();
    (targets, document.into_diagnostics(), secrets)
}

const KEY: [(&str, &str); 2] = [("ID", "LTAI-id"), ("SECRET", "canary-secret")];
const CREDENTIALS: &str =
    "credentials = { access_key_id = { env = \"ID\" }, access_key_secret = { env = \"SECRET\" } }";

fn alibaba(keys: &str) -> (Vec<TargetConfig>, Vec<Diagnostic>) {
    let text = format!("[targets.ecs]\ntype = \"alibaba\"\n{keys}\n");
    let (targets, diagnostics, _) = read_with(&text, &KEY);
    (targets, diagnostics)
}

fn http(keys: &str) -> (Vec<TargetConfig>, Vec<Diagnostic>) {
    let text = format!("[targets.cmdb]\ntype = \"http\"\n{keys}\n");
    let (targets, diagnostics, _) = read_with(&text, &KEY);
    (targets, diagnostics)
}

/// The only target of a configuration without errors.
fn only((mut targets, diagnostics): (Vec<TargetConfig>, Vec<Diagnostic>)) -> TargetConfig {
    assert_eq!(diagnostics, []);
    targets.remove(0)
}

fn admits(target: &TargetConfig, operation: &str) -> CallAdmission {
    target.calls.as_ref().unwrap().api.admit(operation)
}

#[test]
fn targets_of_ecs_only_read_by_default() {
    let target = only(alibaba(&format!("region = \"cn-hangzhou\"\n{CREDENTIALS}")));
    assert_eq!(target.target.kind(), "alibaba");
    assert_eq!(target.target.endpoint(), "ecs-cn-hangzhou.aliyuncs.com");
    let calls = target.calls.as_ref().unwrap();
    assert_eq!(
        calls.changes,
        ChangeLimit {
            per_minute: 10,
            per_day: 100
        }
    );
    assert_eq!(calls.expires, SignedDuration::from_mins(15));
    assert_eq!(target.policy.max_age, calls.expires);
    assert_eq!(admits(&target, "DescribeInstances"), CallAdmission::Read);
    assert_eq!(admits(&target, "ListTagResources"), CallAdmission::Read);
    for change in ["ListVpcs", "DeleteNetworkInterface", "RunInstances"] {
        assert!(
            matches!(admits(&target, change), CallAdmission::NotAllowed(_)),
            "{change}"
        );
    }
}

#[test]
fn changes_of_the_real_cloud_are_dry_runs_unless_false() {
    let change = CallAdmission::Change { repeatable: false };
    for (keys, expected) in [
        ("region = \"cn-beijing\"", CallAdmission::DryRun),
        (
            "region = \"cn-beijing\"\ndry_run = true",
            CallAdmission::DryRun,
        ),
        ("region = \"cn-beijing\"\ndry_run = false", change.clone()),
        (
            "endpoint = \"ecs-vpc.cn-beijing.aliyuncs.com\"",
            CallAdmission::DryRun,
        ),
        (
            "endpoint = \"ecs-vpc.cn-beijing.aliyuncs.com\"\ndry_run = false",
            change.clone(),
        ),
        ("endpoint = \"http://127.0.0.1:8322\"", change.clone()),
        (
            "endpoint = \"http://127.0.0.1:8322\"\ndry_run = true",
            CallAdmission::DryRun,
        ),
    ] {
        let allow = "allow = [\"Describe*\", \"DeleteNetworkInterface\"]";
        let target = only(alibaba(&format!("{keys}\n{allow}\n{CREDENTIALS}")));
        assert_eq!(
            admits(&target, "DeleteNetworkInterface"),
            expected,
            "{keys}"
        );
        assert_eq!(admits(&target, "DescribeInstances"), CallAdmission::Read);
    }
}

#[test]
fn hosts_follow_product_region_and_endpoint() {
    for (keys, host) in [
        ("region = \"eu-central-1\"", "ecs.eu-central-1.aliyuncs.com"),
        (
            "product = \"vpc\"\nversion = \"2016-04-28\"\nallow = \"Describe*\"\n\
             region = \"cn-hangzhou\"",
            "vpc.cn-hangzhou.aliyuncs.com",
        ),
        (
            "endpoint = \"ecs-vpc.cn-hangzhou.aliyuncs.com\"",
            "ecs-vpc.cn-hangzhou.aliyuncs.com",
        ),
        ("endpoint = \"https://10.1.2.3:8443\"", "10.1.2.3:8443"),
        ("endpoint = \"http://[::1]:8322\"", "[::1]:8322"),
        ("endpoint = \"http://localhost:8322\"", "localhost:8322"),
        ("endpoint = \"127.0.0.1:8322\"", "127.0.0.1:8322"),
    ] {
        let target = only(alibaba(&format!("{keys}\n{CREDENTIALS}")));
        assert_eq!(target.target.endpoint(), host);
    }
}

#[test]
fn limits_of_calls_are_configured() {
    let keys = "max_changes = { per_minute = 2, per_day = 5 }\nexpires = \"90s\"";
    let target = only(alibaba(&format!(
        "region = \"cn-beijing\"\n{keys}\n{CREDENTIALS}"
    )));
    let calls = target.calls.as_ref().unwrap();
    assert_eq!(
        calls.changes,
        ChangeLimit {
            per_minute: 2,
            per_day: 5
        }
    );
    assert_eq!(calls.expires, SignedDuration::from_secs(90));
    let target = only(http(
        "url = \"https://cmdb.example.com\"\nmax_changes = { per_day = 3 }",
    ));
    let changes = target.calls.as_ref().unwrap().changes;
    assert_eq!(
        changes,
        ChangeLimit {
            per_minute: 10,
            per_day: 3
        }
    );
}

/// What is wrong with the keys, at which text of the configuration.
fn faults(kind: &str, keys: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let text = format!("[targets.t]\ntype = \"{kind}\"\n{keys}\n");
    let (_, diagnostics, _) = read_with(&text, variables);
    let message = |found: Diagnostic| {
        let place = text[found.span.clone()].lines().next().unwrap_or_default();
        assert!(found.help.is_some(), "no help: {}", found.message);
        format!("{place} | {}", found.message)
    };
    diagnostics.into_iter().map(message).collect()
}

#[test]
fn errors_of_alibaba_targets_are_reported_at_their_place() {
    let region = "region = \"cn-hangzhou\"";
    for (keys, message) in [
        (
            CREDENTIALS.to_owned(),
            "t | missing key `region` in `targets.t`",
        ),
        (
            region.to_owned(),
            "t | missing key `credentials` in `targets.t`",
        ),
        (
            format!("{region}\ncredentials = \"LTAI5t:secret\""),
            "\"LTAI5t:secret\" | invalid `credentials`",
        ),
        (
            format!("{region}\ncredentials = {{ access_key_id = {{ env = \"ID\" }} }}"),
            "{ access_key_id = { env = \"ID\" } } | missing key `access_key_secret` in \
             `targets.t.credentials`",
        ),
        (
            format!("{region}\ncredentials = {{ ecs_role = \"a/b\" }}"),
            "\"a/b\" | invalid name of a role `a/b`",
        ),
        (
            format!(
                "{region}\ncredentials = {{ ecs_role = \"r\", metadata = \"http://10.0.0.1\" }}"
            ),
            "\"http://10.0.0.1\" | invalid `metadata`: expected http and an address of this \
             machine",
        ),
        (
            format!("{region}\n{CREDENTIALS}\nallow = [\"Describe *\"]"),
            "\"Describe *\" | invalid operation `Describe *` in `allow`",
        ),
        (
            format!("{region}\n{CREDENTIALS}\nallow = []"),
            "[] | `allow` is empty",
        ),
        (
            format!("{region}\n{CREDENTIALS}\nproduct = \"vpc\"\nallow = \"Describe*\""),
            "t | missing key `version` in `targets.t`",
        ),
        (
            format!("{region}\n{CREDENTIALS}\nproduct = \"vpc\"\nversion = \"2016-04-28\""),
            "t | missing key `allow` in `targets.t`",
        ),
        (
            format!("region = \"cn/hangzhou\"\n{CREDENTIALS}"),
            "\"cn/hangzhou\" | invalid region `cn/hangzhou`",
        ),
        (
            format!("endpoint = \"http://ecs.aliyuncs.com\"\n{CREDENTIALS}"),
            "\"http://ecs.aliyuncs.com\" | `endpoint` without encryption: only for addresses of \
             this machine",
        ),
        (
            format!("endpoint = \"https://ecs.aliyuncs.com/path\"\n{CREDENTIALS}"),
            "\"https://ecs.aliyuncs.com/path\" | invalid `endpoint`",
        ),
        (
            format!("{region}\n{CREDENTIALS}\nmax_age = \"1h\""),
            "max_age | unknown key `max_age` in `targets.t`",
        ),
        (
            format!("{region}\n{CREDENTIALS}\nexpires = \"25h\""),
            "\"25h\" | `expires` is longer than 24h",
        ),
        (
            format!("{region}\n{CREDENTIALS}\nmax_changes = {{ per_hour = 1 }}"),
            "per_hour | unknown key `per_hour` in `targets.t.max_changes`",
        ),
    ] {
        assert_eq!(faults("alibaba", &keys, &KEY), [message], "{keys}");
    }
    // Only if TLS is used could the address be one that no operator means.
    let metadata = format!("endpoint = \"https://100.100.100.200\"\n{CREDENTIALS}");
    let found = faults("alibaba", &metadata, &KEY);
    assert!(found[0].contains("metadata service"), "{found:?}");
}

#[test]
fn errors_of_http_targets_are_reported_at_their_place() {
    let url = "url = \"https://cmdb.example.com\"";
    for (keys, message) in [
        (String::new(), "t | missing key `url` in `targets.t`"),
        (
            format!("{url}\nallow = [\"10.0.0.0/8\"]"),
            "\"10.0.0.0/8\" | invalid operation `10.0.0.0/8` in `allow`",
        ),
        (
            format!("{url}\nidempotent = \"put /a\""),
            "\"put /a\" | invalid operation `put /a` in `idempotent`",
        ),
        (
            "url = \"http://10.1.2.3\"".to_owned(),
            "\"http://10.1.2.3\" | 10.1.2.3 is not a public address; list its network under \
             `networks` to permit it",
        ),
        (
            format!(
                "{url}\nbearer = {{ env = \"ID\" }}\n\
                 basic = {{ user = \"u\", password = {{ env = \"SECRET\" }} }}"
            ),
            "{ user = \"u\", password = { env = \"SECRET\" } } | both `bearer` and `basic` are set",
        ),
        (
            format!("{url}\nbearer = \"token\""),
            "\"token\" | the secret `bearer` must not be written in the configuration",
        ),
        (
            format!("{url}\nbasic = {{ user = \"u\" }}"),
            "{ user = \"u\" } | missing key `password` in `targets.t.basic`",
        ),
        (
            format!(
                "{url}\nbearer = {{ env = \"ID\" }}\nheaders = {{ authorization = \"Basic x\" }}"
            ),
            "{ authorization = \"Basic x\" } | the header `authorization` is set twice",
        ),
    ] {
        let found: Vec<String> = faults("http", &keys, &KEY);
        assert_eq!(found, [message], "{keys}");
    }
    let private = only(http(
        "url = \"http://10.1.2.3\"\nnetworks = [\"10.1.0.0/16\"]",
    ));
    assert_eq!(private.target.endpoint(), "10.1.2.3");
    assert_eq!(admits(&private, "GET /a"), CallAdmission::Read);
    assert!(matches!(
        admits(&private, "POST /a"),
        CallAdmission::NotAllowed(_)
    ));
}

#[test]
fn secrets_of_calls_are_recorded_and_digested() {
    let text = |token: &str| {
        format!(
            "[targets.ecs]\ntype = \"alibaba\"\nregion = \"cn-hangzhou\"\ncredentials = {{ \
             access_key_id = {{ env = \"ID\" }}, access_key_secret = {{ env = \"SECRET\" }}, \
             security_token = {{ env = \"{token}\" }} }}\n"
        )
    };
    let digest = |token: &str| {
        let variables = [KEY[0], KEY[1], ("TOKEN", token)];
        let (targets, diagnostics, secrets) = read_with(&text("TOKEN"), &variables);
        assert_eq!(diagnostics, []);
        assert_eq!(secrets, ["LTAI-id", "canary-secret", token]);
        targets[0].digest
    };
    assert_eq!(digest("canary-token"), digest("canary-token"));
    assert_ne!(digest("canary-token"), digest("other-token"));
    // A token that cannot be read must not make a permanent key of a temporary one.
    let (targets, diagnostics, _) = read_with(&text("NONE"), &KEY);
    assert!(targets.is_empty() && diagnostics.len() == 1);

    let basic = "[targets.a]\ntype = \"http\"\nurl = \"https://cmdb.example.com\"\n\
                 basic = { user = \"u\", password = { env = \"SECRET\" } }\n";
    let (_, _, secrets) = read_with(basic, &KEY);
    // As in the header, in base64.
    assert_eq!(secrets, ["canary-secret", "dTpjYW5hcnktc2VjcmV0"]);
}

/// The default chain with these variables, and files below `HOME`.
fn default_chain(
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Result<Vec<String>, String> {
    let home = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut all = vec![("HOME", home.path().to_str().unwrap())];
    all.extend(variables);
    let text = "[targets.ecs]\ntype = \"alibaba\"\nregion = \"cn-hangzhou\"\n\
                credentials = \"default\"\n";
    let (targets, diagnostics, secrets) = read_with(text, &all);
    match diagnostics.into_iter().next() {
        None => {
            assert_eq!(targets.len(), 1);
            Ok(secrets)
        }
        Some(found) => Err(found.message.replace(home.path().to_str().unwrap(), "~")),
    }
}

#[test]
fn configurations_of_the_reference_are_valid() {
    assert_eq!(read_configurations(reflexarc_delivery::REFERENCE), 6);
    assert_eq!(
        read_configurations(reflexarc_delivery::TARGETS),
        if HAS_STREAMS { 8 } else { 7 }
    );
}

/// Whether this build has targets that need the feature `cluster`.
const HAS_STREAMS: bool = cfg!(feature = "cluster");

/// How many targets the configurations of a reference have that this build can make.
fn read_configurations(reference: &str) -> usize {
    let mut read = 0;
    for part in reference.split("```toml\n").skip(1) {
        let (text, _) = part.split_once("```").unwrap();
        if !HAS_STREAMS && text.contains("\"jetstream\"") {
            continue;
        }
        let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
        let context = ConfigContext::new(Path::new("/nonexistent"), Secrets::Blank);
        let root = ConfigTable::new(&context, document.root());
        read += targets(&root).len();
        root.finish();
        assert_eq!(document.into_diagnostics(), [], "{text}");
    }
    read
}

#[test]
fn the_reference_lists_operations_with_a_client_token() {
    let (_, rest) = reflexarc_delivery::REFERENCE
        .split_once("the official SDK:\n\n")
        .unwrap();
    let (list, _) = rest.split_once(".\n").unwrap();
    let listed: Vec<&str> = list
        .split(',')
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    let table = include_str!("../../src/target/alibaba/client_token_operations.txt");
    assert_eq!(listed, table.lines().collect::<Vec<_>>());
}

const CLI: &str = ".aliyun/config.json";
const INI: &str = ".alibabacloud/credentials.ini";

#[test]
fn the_default_chain_is_that_of_the_official_sdks() {
    let cli = r#"{"current": "work", "profiles": [
        {"name": "home", "mode": "AK", "access_key_id": "i", "access_key_secret": "cli-home"},
        {"name": "work", "mode": "StsToken", "access_key_id": "i", "access_key_secret": "cli-work",
         "sts_token": "cli-token"},
        {"name": "role", "mode": "EcsRamRole", "ram_role_name": "reflexarc"}]}"#;
    let ini = "# keys\n[default]\ntype = access_key # permanent\naccess_key_id = i\n\
               access_key_secret = ini-default\n\n[other]\ntype: access_key\naccess_key_id: i\n\
               access_key_secret: ini-other\n";
    let variables = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "i"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "variable"),
    ];
    let token = ("ALIBABA_CLOUD_SECURITY_TOKEN", "variable-token");
    let profile = |name| ("ALIBABA_CLOUD_PROFILE", name);
    let both = [(CLI, cli), (INI, ini)];
    for (variables, files, secrets) in [
        (&variables[..], &both[..], &["variable"][..]),
        (
            &[variables[0], variables[1], token],
            &both,
            &["variable", "variable-token"],
        ),
        (&[], &both, &["cli-work", "cli-token"]),
        (&[profile("home")], &both, &["cli-home"]),
        (&[profile("other")], &both, &["ini-other"]),
        (
            &[("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true")],
            &both,
            &["ini-default"],
        ),
        (
            &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "")],
            &[(INI, ini)],
            &["ini-default"],
        ),
        // The role of the instance; nothing is fetched before the first call.
        (&[profile("role")], &both, &[]),
        (&[], &[], &[]),
        (&[("ALIBABA_CLOUD_ECS_METADATA", "reflexarc")], &[], &[]),
    ] {
        let found = default_chain(variables, files);
        assert_eq!(
            found.as_deref(),
            Ok(&secrets
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()[..])
        );
    }
}

#[test]
fn what_the_default_chain_cannot_use_is_an_error() {
    let cli = |profile: &str| format!(r#"{{"current": "a", "profiles": [{profile}]}}"#);
    for (variables, files, reason) in [
        (
            vec![("ALIBABA_CLOUD_ACCESS_KEY_ID", "i")],
            vec![],
            "the environment variable ALIBABA_CLOUD_ACCESS_KEY_ID is set, \
             ALIBABA_CLOUD_ACCESS_KEY_SECRET is not",
        ),
        (
            vec![("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")],
            vec![],
            "no key in the environment and in the profile files",
        ),
        (
            vec![("ALIBABA_CLOUD_PROFILE", "work")],
            vec![],
            "no profile `work` in the profile files",
        ),
        (
            vec![("ALIBABA_CLOUD_CREDENTIALS_FILE", "/nonexistent/ini")],
            vec![],
            "the file /nonexistent/ini of ALIBABA_CLOUD_CREDENTIALS_FILE does not exist",
        ),
        (
            vec![("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token")],
            vec![],
            "a role by OIDC token (ALIBABA_CLOUD_OIDC_TOKEN_FILE) is not supported",
        ),
        (
            vec![],
            vec![(CLI, "{\"secret".to_owned())],
            "~/.aliyun/config.json: invalid JSON",
        ),
        (
            vec![],
            vec![(CLI, cli(r#"{"name": "a", "mode": "RamRoleArn"}"#))],
            "~/.aliyun/config.json: the profile `a` has the mode `RamRoleArn`; supported are AK, \
             StsToken and EcsRamRole",
        ),
        (
            vec![],
            vec![(
                CLI,
                cli(r#"{"name": "a", "mode": "AK", "access_key_id": "i"}"#),
            )],
            "~/.aliyun/config.json: missing `access_key_secret` in the profile",
        ),
        (
            vec![],
            vec![(INI, "[default]\naccess_key_id s3cret".to_owned())],
            "~/.alibabacloud/credentials.ini: line 2: expected `key = value`",
        ),
        (
            vec![],
            vec![(INI, "[default]\naccess_key_id = i".to_owned())],
            "~/.alibabacloud/credentials.ini: the profile `default` has the type ``; supported \
             are access_key, sts and ecs_ram_role",
        ),
    ] {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let message = format!("no credentials in the default chain: {reason}");
        assert_eq!(default_chain(&variables, &files), Err(message));
    }
}
