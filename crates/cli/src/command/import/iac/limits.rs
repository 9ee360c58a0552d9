//! Limits of what is read: infrastructure code comes from anywhere.

/// The limits of one run of `import iac`.
#[derive(Debug, Clone, Copy)]
pub(super) struct IacLimits {
    /// Bytes of a file.
    pub(super) file_bytes: usize,
    /// Files that are read.
    pub(super) files: usize,
    /// Folders below one another.
    pub(super) folders: usize,
    /// Levels of a document, and of modules, locals and conditions that refer to one another.
    pub(super) depth: usize,
    /// Values of a document, each use of a YAML alias counted anew.
    pub(super) values: usize,
    /// Values and bytes of text that evaluating the functions of a file may make.
    pub(super) evaluation: usize,
    /// Rules.
    pub(super) patterns: usize,
}

impl IacLimits {
    /// Members of an object in Terraform's JSON. Inserting one takes as long as the object is.
    pub(super) const TERRAFORM_JSON_MEMBERS: usize = 10_000;

    /// The limits of the command.
    pub(super) const DEFAULT: Self = Self {
        file_bytes: 16 << 20,
        files: 20_000,
        folders: 64,
        depth: 64,
        values: 1_000_000,
        evaluation: 20_000_000,
        patterns: 10_000,
    };
}
