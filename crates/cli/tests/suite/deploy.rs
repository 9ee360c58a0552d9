//! The files in `deploy/` use commands and a compiler that exist.

use crate::{reflexarc, root};

fn deployed(name: &str) -> String {
    std::fs::read_to_string(root().join("deploy").join(name)).unwrap()
}

/// Runs a command line of a deployment file with `--help`, which fails for unknown arguments.
fn assert_valid(line: &str) {
    let arguments: Vec<&str> = line.split_whitespace().skip(1).chain(["--help"]).collect();
    let outcome = reflexarc(&arguments);
    assert_eq!(outcome.code, 0, "{line}: {}", outcome.stderr);
}

#[test]
fn the_systemd_unit_uses_valid_commands() {
    let unit = deployed("reflexarc.service");
    let commands: Vec<&str> = unit
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ExecStartPre=")
                .or_else(|| line.strip_prefix("ExecStart="))
        })
        .collect();
    assert_eq!(commands.len(), 2);
    commands.into_iter().for_each(assert_valid);
}

/// What `/status` tells operators to do.
#[test]
fn the_commands_in_problems_exist() {
    let source = root().join("crates/service/src/telemetry/problems.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let quoted = [source, deployed("README.md"), deployed("alerts.yml")].join("`");
    let commands: std::collections::BTreeSet<&str> = quoted
        .split('`')
        .filter(|text| text.starts_with("reflexarc ") && !text.contains('\n'))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        // Without placeholders, and the options that need a value of them.
        let words = command.split_whitespace();
        let words: Vec<&str> = words.take_while(|word| !word.starts_with("--")).collect();
        assert_valid(&words.join(" "));
    }
}

#[test]
fn the_container_has_the_required_compiler_and_commands() {
    let file = deployed("Containerfile");
    let image = file
        .lines()
        .find_map(|line| line.strip_prefix("FROM docker.io/library/rust:"))
        .unwrap();
    let version = |text: &str| -> Vec<u32> {
        text.split('.')
            .take(2)
            .map(|part| part.parse().unwrap())
            .collect()
    };
    let wanted = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let wanted = wanted
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap()
        .replace('"', "");
    assert!(
        version(image.split('-').next().unwrap()) >= version(&wanted),
        "{image} for {wanted}"
    );
    // The image copies the program that this command builds.
    assert!(file.contains("cargo build --profile ship --locked --package reflexarc-cli"));
    assert!(
        file.contains("COPY --from=build /build/target/ship/reflexarc /usr/local/bin/reflexarc")
    );
    let command = file
        .lines()
        .find_map(|line| line.strip_prefix("CMD "))
        .unwrap();
    assert_valid(&format!(
        "reflexarc {}",
        command.replace(['[', ']', '"', ','], "")
    ));
}
