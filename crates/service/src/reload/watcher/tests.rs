use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("rules")).unwrap();
        fs::write(folder.path("rules/a.toml"), "when = 'a exists'").unwrap();
        fs::write(folder.path("reflexarc.toml"), "").unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn paths(&self) -> WatchedPaths {
        WatchedPaths {
            rules: vec![self.path("rules")],
            files: vec![self.path("reflexarc.toml"), self.path("token")],
        }
    }
}

/// Whether something is seen to change.
fn changes(paths: &WatchedPaths, change: impl FnOnce()) -> bool {
    let before = Snapshot::of(paths);
    assert_eq!(Snapshot::of(paths), before);
    // The times of files have the granularity of the kernel's clock, some milliseconds.
    std::thread::sleep(Duration::from_millis(15));
    change();
    Snapshot::of(paths) != before
}

#[test]
fn every_way_to_replace_a_file_is_seen() {
    let folder = Folder::new();
    let paths = folder.paths();
    let (config, rule) = (folder.path("reflexarc.toml"), folder.path("rules/a.toml"));
    for path in [&config, &rule] {
        assert!(changes(&paths, || fs::write(path, "when = 'b exists'").unwrap()));
        // In place, with the same size.
        assert!(changes(&paths, || fs::write(path, "when = 'c exists'").unwrap()));
        let copy = folder.path("copy");
        fs::write(&copy, "when = 'd exists'").unwrap();
        assert!(
            changes(&paths, || fs::rename(&copy, path).unwrap()),
            "rename over"
        );
        assert!(changes(&paths, || fs::remove_file(path).unwrap()), "delete");
        assert!(changes(&paths, || fs::write(path, "").unwrap()), "create");
        let touch = || {
            let file = fs::File::options().append(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
        };
        assert!(changes(&paths, touch), "touch");
        // With the time of the content from before, as `cp -p` or rsync set it.
        let restore = || {
            let time = fs::metadata(path).unwrap().modified().unwrap();
            fs::write(path, "x").unwrap();
            fs::write(path, "").unwrap();
            let file = fs::File::options().append(true).open(path).unwrap();
            file.set_modified(time).unwrap();
        };
        assert!(changes(&paths, restore), "restored time");
    }
    // A file that does not exist yet.
    assert!(changes(&paths, || fs::write(folder.path("token"), "x").unwrap()));
    let tables = folder.path("rules/tables");
    fs::create_dir(&tables).unwrap();
    let table = tables.join("vswitches.csv");
    assert!(changes(&paths, || fs::write(&table, "id\n").unwrap()));
    assert!(changes(&paths, || fs::write(&table, "id\n1\n").unwrap()));
    assert!(changes(&paths, || fs::remove_file(&table).unwrap()));
    assert!(!changes(&paths, || fs::write(tables.join("notes.md"), "").unwrap()));
    let deeper = folder.path("rules/deeper");
    fs::create_dir(&deeper).unwrap();
    assert!(changes(&paths, || fs::write(deeper.join("b.toml"), "").unwrap()));
}

/// As Kubernetes updates a mounted volume: files are links to `..data/NAME`, and `..data` a link to
/// a folder of the version.
#[test]
fn links_that_are_set_to_another_folder_are_seen() {
    let folder = Folder::new();
    for version in ["..1", "..2"] {
        fs::create_dir(folder.path(version)).unwrap();
        fs::create_dir(folder.path(version).join("rules")).unwrap();
        for name in ["token", "rules/a.toml"] {
            fs::write(folder.path(version).join(name), "same").unwrap();
        }
    }
    symlink("..1", folder.path("..data")).unwrap();
    symlink("..data/token", folder.path("token")).unwrap();
    symlink("..data/rules", folder.path("linked")).unwrap();
    let mut paths = folder.paths();
    let swap = |to: &str| {
        symlink(to, folder.path("..new")).unwrap();
        fs::rename(folder.path("..new"), folder.path("..data")).unwrap();
    };
    assert!(changes(&paths, || swap("..2")), "a file");
    paths.files.clear();
    paths.rules = vec![folder.path("linked")];
    assert!(changes(&paths, || swap("..1")), "a folder");
    paths.rules = vec![folder.path("linked/a.toml")];
    assert!(changes(&paths, || swap("..2")), "a rule file");
}

/// The store stands beside the configuration, or in the folder of the rules.
#[test]
fn what_the_service_writes_is_no_change() {
    let folder = Folder::new();
    let mut paths = folder.paths();
    let write = || {
        for name in [
            "reflexarc.db",
            "reflexarc.db-wal",
            "rules/reflexarc.db",
            "rules/.a.toml.swp",
        ] {
            fs::write(folder.path(name), "x").unwrap();
        }
        fs::remove_file(folder.path("reflexarc.db-wal")).unwrap();
    };
    assert!(!changes(&paths, write));
    paths.rules = vec![folder.0.path().to_owned()];
    assert!(!changes(&paths, write));
}

#[test]
fn a_folder_that_cannot_be_listed_is_a_change() {
    let folder = Folder::new();
    let paths = folder.paths();
    let rules = folder.path("rules");
    assert!(changes(&paths, || fs::rename(&rules, folder.path("gone")).unwrap()));
    assert!(changes(&paths, || fs::rename(folder.path("gone"), &rules).unwrap()));
}
