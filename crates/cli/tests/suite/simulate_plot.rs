//! `reflexarc simulate --plot`: the picture of every scenario is readable.

use std::path::Path;

use super::plot_geometry::problems;
use super::{reflexarc, root};

/// The picture of a scenario.
fn plot(scenario: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("timeline.svg");
    let mut args = vec!["simulate", scenario];
    args.extend(more);
    args.extend(["--plot", file.to_str().unwrap()]);
    let run = reflexarc(&args);
    assert_eq!(run.code, 0, "{scenario}: {}", run.stderr);
    std::fs::read_to_string(&file).unwrap()
}

fn shipped(name: &str) -> String {
    plot(&format!("examples/scenarios/{name}.toml"), &["rules"])
}

#[test]
fn the_pictures_of_all_scenarios_are_readable() {
    let folder = root().join("examples/scenarios");
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let toml = |file: &Path| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    };
    let files: Vec<_> = files.filter(|file| toml(file)).collect();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let scenario = file.to_str().unwrap();
        for more in [
            &[][..],
            &["rules"],
            &["rules", "--config", "examples/reflexarc.toml"],
        ] {
            let problems = problems(&plot(scenario, more));
            assert!(problems.is_empty(), "{scenario} {more:?}: {problems:#?}");
        }
    }
}

#[test]
fn refusals_and_events_that_are_not_published_are_marked() {
    let svg = shipped("primary");
    let count = |class: &str| svg.matches(&format!("class=\"{class}\"")).count();
    // Two of each, and one in the legend.
    assert_eq!((count("refused"), count("silent")), (3, 3));
    for text in [
        ">tenant: DeleteNetworkInterface refused, InvalidOperation.InvalidEniType</text>",
        ">request refused, no event</text>",
        ">DetachNetworkInterface: no event, it is a primary interface</text>",
        ">no event published</text>",
    ] {
        assert!(svg.contains(text), "{text}\n{svg}");
    }
    // An account without the preview has no refusals, and the legend has no mark for them.
    let svg = shipped("preview-off");
    assert!(svg.contains("class=\"silent\"") && !svg.contains("class=\"refused\""));
}

#[test]
fn a_wide_picture_continues_below() {
    let svg = shipped("attach-storm");
    for text in [">part 1 of 4</text>", ">part 4 of 4</text>"] {
        assert!(svg.contains(text), "{text}\n{svg}");
    }
    assert!(svg.contains(" width=\"1280\""), "{svg}");
    // The same text has one number in a part.
    let notes = svg.matches(">AttachNetworkInterface failed</text>").count();
    assert!(notes <= 4, "{notes}");
}
