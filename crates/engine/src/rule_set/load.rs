//! From rule files to a rule set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reflexarc_diagnostic::{Code, FileDiagnostics, InvalidFiles};
use reflexarc_pattern::{BuildError, Matcher, Pattern};
use reflexarc_reaction::ReactionLimits;

use super::{Inner, RuleSet, armed_rules, step_nodes, step_roles};
use crate::ahead_history::AheadHistory;
use crate::folder::{self, FolderFiles};
use crate::rule::{Rule, whole_file};
use crate::tables::UsedTables;
use crate::{RuleSetLimits, Tables};

impl RuleSet {
    /// Reads and compiles one rule file, or a folder of them: every `*.toml` in it, recursively,
    /// with the lookup tables in folders of the name `tables` in it. Those that are not there are
    /// looked for in the folder `tables` beside the path, and beside each folder around it.
    ///
    /// # Errors
    /// With the diagnostics of each file that has an error, its warnings included.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// std::fs::write(folder.join("failed.toml"), "when = 'id exists'\nnotify = ['team']")?;
    ///
    /// let rules = reflexarc::RuleSet::load(folder)?;
    /// assert!(rules.get("failed").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InvalidFiles> {
        Self::load_all(&[path])
    }

    /// Reads and compiles several files and folders as one set, as [`RuleSet::load`] does.
    ///
    /// # Errors
    /// With the diagnostics of each file that has an error, its warnings included.
    ///
    /// ```
    /// let error = reflexarc::RuleSet::load_all(&["no/such/folder", "no/such/rule.toml"])
    ///     .expect_err("neither exists");
    /// assert_eq!(error.files().len(), 2);
    /// ```
    pub fn load_all<P: AsRef<Path>>(paths: &[P]) -> Result<Self, InvalidFiles> {
        Self::load_with(paths, Vec::new())
    }

    /// As [`RuleSet::load_all`], with further rules that are given as path and text.
    ///
    /// # Errors
    /// With the diagnostics of each file and text that has an error, its warnings included.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let text = "when = 'id exists'\nnotify = ['team']";
    /// std::fs::write(folder.join("a.toml"), text)?;
    /// let rules = reflexarc::RuleSet::load_with(&[folder], vec![("b.toml".into(), text.into())])?;
    /// assert_eq!(rules.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load_with<P: AsRef<Path>>(
        paths: &[P],
        texts: Vec<(String, String)>,
    ) -> Result<Self, InvalidFiles> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        Self::load_paths(&paths, texts, &ReactionLimits::DEFAULT)
    }

    /// As [`RuleSet::load_all`], with other limits of reactions.
    ///
    /// # Errors
    /// As [`RuleSet::load_all`].
    pub fn load_all_with_limits<P: AsRef<Path>>(
        paths: &[P],
        limits: &ReactionLimits,
    ) -> Result<Self, InvalidFiles> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        Self::load_paths(&paths, Vec::new(), limits)
    }

    /// The paths and texts of the rule files that [`RuleSet::load_all`] reads, without compiling
    /// them; files that cannot be read are left out.
    pub fn read_texts<P: AsRef<Path>>(paths: &[P]) -> Vec<(String, String)> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        folder::read_rules(&paths, &RuleSetLimits::DEFAULT)
    }

    /// The paths of the rule files and tables that [`RuleSet::load_all`] may read, sorted, and the
    /// diagnostics of files and folders that do not exist or cannot be listed. No file is read.
    ///
    /// ```
    /// let (files, missing) = reflexarc::RuleSet::find_files(&["no/such/folder"]);
    /// assert_eq!((files.len(), missing.len()), (0, 1));
    /// ```
    pub fn find_files<P: AsRef<Path>>(paths: &[P]) -> (Vec<PathBuf>, Vec<FileDiagnostics>) {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        let found = folder::find(&paths, &RuleSetLimits::DEFAULT);
        let tables = found.tables.into_iter().map(|table| table.path);
        let mut files: Vec<PathBuf> = found.rules.into_iter().chain(tables).collect();
        files.sort();
        (files, found.errors)
    }

    /// Compiles rule files given as path and text; the stem of the path is the rule's name.
    ///
    /// # Errors
    /// With the diagnostics of each file that has an error, its warnings included.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let error = RuleSet::compile([("a.toml", "when = 'id = 1'\nnotify = ['team']")])
    ///     .expect_err("`=` is not an operator");
    /// assert_eq!(error.diagnostics().count(), 1);
    /// assert!(error.to_string().contains("a.toml:1:"));
    /// ```
    pub fn compile<N, T>(files: impl IntoIterator<Item = (N, T)>) -> Result<Self, InvalidFiles>
    where
        N: Into<String>,
        T: Into<String>,
    {
        Self::compile_with_limits(files, &RuleSetLimits::DEFAULT, &ReactionLimits::DEFAULT)
    }

    /// As [`RuleSet::compile`], for rules that look up rows of these tables; see [`Tables`] for an
    /// example.
    ///
    /// # Errors
    /// With the diagnostics of each file that has an error, its warnings included.
    pub fn compile_with_tables<N, T>(
        files: impl IntoIterator<Item = (N, T)>,
        tables: &Tables,
    ) -> Result<Self, InvalidFiles>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let files = files.into_iter();
        let files = files.map(|(name, text)| (name.into(), text.into()));
        let limits = (&RuleSetLimits::DEFAULT, &ReactionLimits::DEFAULT);
        Self::compile_files(files.collect(), tables, limits.0, limits.1)
    }

    /// As [`RuleSet::compile`], with other limits.
    ///
    /// # Errors
    /// As [`RuleSet::compile`].
    pub fn compile_with_limits<N, T>(
        files: impl IntoIterator<Item = (N, T)>,
        limits: &RuleSetLimits,
        reaction_limits: &ReactionLimits,
    ) -> Result<Self, InvalidFiles>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let files = files.into_iter();
        let files: Vec<(String, String)> = files
            .map(|(name, text)| (name.into(), text.into()))
            .collect();
        Self::compile_files(files, &Tables::default(), limits, reaction_limits)
    }

    // These two are not generic, as otherwise each caller's crate would compile them again.

    fn load_paths(
        paths: &[PathBuf],
        texts: Vec<(String, String)>,
        limits: &ReactionLimits,
    ) -> Result<Self, InvalidFiles> {
        // A file that cannot be read does not hide the errors of the others.
        let set_limits = &RuleSetLimits::DEFAULT;
        let FolderFiles {
            rules,
            tables,
            errors: mut faults,
            warnings,
        } = folder::read_with(paths, texts, set_limits);
        let (tables, invalid) = Tables::read(tables, set_limits);
        faults.extend(invalid);
        match Self::compile_files(rules, &tables, set_limits, limits) {
            Ok(mut rules) if faults.is_empty() => {
                if let Some(inner) = Arc::get_mut(&mut rules.inner) {
                    inner.folder_warnings = warnings;
                }
                Ok(rules)
            }
            Ok(_) => Err(InvalidFiles::new(faults)),
            Err(invalid) => {
                faults.extend(invalid.into_files());
                Err(InvalidFiles::new(faults))
            }
        }
    }

    fn compile_files(
        files: Vec<(String, String)>,
        tables: &Tables,
        limits: &RuleSetLimits,
        reaction_limits: &ReactionLimits,
    ) -> Result<Self, InvalidFiles> {
        let mut rules = Vec::new();
        let limits = &Arc::new(*limits);
        let used = UsedTables::new(tables, limits);
        // All files are compiled before the first error is returned.
        let mut found = Vec::new();
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files {
            // `rules/network/failed.toml` is the rule `failed`: folders are for people, and a rule
            // can be moved between them without a new name, which would be a new state.
            let name = stem(&file);
            let (rule, mut diagnostics) = if text.len() > limits.file_bytes {
                let message = format!(
                    "the file has {} bytes, more than the {} allowed",
                    text.len(),
                    limits.file_bytes
                );
                (None, vec![whole_file(Code::RULE_LIMIT, &text, message)])
            } else {
                match Rule::compile(name.clone(), file.clone(), &text, &used, reaction_limits) {
                    Ok(rule) => (Some(rule), Vec::new()),
                    Err(found) => (None, found),
                }
            };
            if let Some(first) = names.insert(name.clone(), file.clone()) {
                let message = format!("duplicate rule name `{name}`: {first} and {file}");
                let duplicate = whole_file(Code::DUPLICATE_RULE, &text, message);
                diagnostics.insert(
                    0,
                    duplicate.with_help(
                        "the stem of its file is the name of a rule; rename one of the files",
                    ),
                );
            }
            // Reported once, at the first rule beyond the limit.
            if names.len() == limits.rules + 1 {
                let message = format!("too many rules: more than the {} allowed", limits.rules);
                diagnostics.push(whole_file(Code::RULE_LIMIT, &text, message));
            }
            if !diagnostics.is_empty() {
                diagnostics.extend(rule.iter().flat_map(Rule::warnings));
                found.push(FileDiagnostics {
                    name: file,
                    text,
                    diagnostics,
                });
            }
            rules.extend(rule.map(Arc::new));
        }
        found.extend(used.key_faults());
        if !found.is_empty() {
            return Err(InvalidFiles::new(found));
        }
        // By name, not by path or in the order given: positions are the matcher's ids, and rules
        // react in this order, so the same rules must always come in the same one.
        rules.sort_by(|a, b| a.name().cmp(b.name()));
        let nodes = rules.iter().map(|rule| rule.matched_node());
        let matcher = Matcher::build(nodes.chain(step_nodes(&rules, false))).map_err(|error| {
            let message = format!("the rules are too large together: {error}");
            InvalidFiles::from(FileDiagnostics {
                name: "the rule set".to_owned(),
                text: String::new(),
                diagnostics: vec![whole_file(Code::RULE_LIMIT, "", message)],
            })
        })?;
        let inner = Inner {
            steps: step_roles(&rules),
            is_test: false,
            armed: armed_rules(&rules, false),
            history: AheadHistory::new(rules.len()),
            rules,
            matcher,
            warnings: OnceLock::new(),
            folder_warnings: Vec::new(),
            unused_tables: used.unused(),
            tables: tables.clone(),
            hash: OnceLock::new(),
            limits: **limits,
            reaction_limits: *reaction_limits,
        };
        Ok(Self {
            inner: Arc::new(inner),
            event_files: Arc::default(),
        })
    }

    /// A set of filters without reactions, each with a name. The rules are in the order of the
    /// names; of two filters with the same name the later one counts.
    ///
    /// # Errors
    /// When the filters together exceed the size that a matcher may have.
    ///
    /// ```
    /// use reflexarc::{Dialect, NativeEvent, Pattern, RuleSet};
    ///
    /// let pattern = Pattern::parse(r#"{"id": [1]}"#, Dialect::Aws)?;
    /// let rules = RuleSet::from_patterns([("one".to_owned(), pattern)])?;
    /// assert!(rules.matching(&NativeEvent::from_json(r#"{"id": 1}"#)?).is_match());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_patterns(
        patterns: impl IntoIterator<Item = (String, Pattern)>,
    ) -> Result<Self, BuildError> {
        Self::from_named(patterns.into_iter().collect())
    }

    fn from_named(patterns: BTreeMap<String, Pattern>) -> Result<Self, BuildError> {
        let rules: Vec<_> = patterns
            .into_iter()
            .map(|(name, pattern)| Arc::new(Rule::bare(name, pattern)))
            .collect();
        let matcher = Matcher::build(rules.iter().map(|rule| rule.pattern().node()))?;
        let (limits, reaction_limits) = (RuleSetLimits::DEFAULT, ReactionLimits::DEFAULT);
        let inner = Inner {
            history: AheadHistory::new(rules.len()),
            rules,
            steps: Vec::new(),
            is_test: false,
            armed: Vec::new(),
            matcher,
            warnings: OnceLock::from(Vec::new()),
            folder_warnings: Vec::new(),
            unused_tables: Vec::new(),
            tables: Tables::default(),
            hash: OnceLock::new(),
            limits,
            reaction_limits,
        };
        Ok(Self {
            inner: Arc::new(inner),
            event_files: Arc::default(),
        })
    }
}

fn stem(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(
        || file.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
