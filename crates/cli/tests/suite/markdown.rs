//! Reading Markdown documents: their links, headings and code blocks.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::root;

/// What the tests check of a document.
#[derive(Default)]
pub(crate) struct Document {
    /// The targets of all links and images.
    pub(crate) links: Vec<String>,
    /// The names by which a link can point to its headings.
    pub(crate) anchors: Vec<String>,
    /// The code blocks with a language.
    pub(crate) blocks: Vec<CodeBlock>,
}

/// A fenced code block.
pub(crate) struct CodeBlock {
    /// All that follows the fence: `sh`, `json pattern`.
    pub(crate) info: String,
    pub(crate) text: String,
    /// The last code span of the paragraph before the block, if that ends with a colon after it:
    /// the name of the file that the block is.
    pub(crate) file: Option<String>,
}

impl Document {
    pub(crate) fn read(path: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(path).unwrap())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut heading: Option<String> = None;
        let mut block: Option<CodeBlock> = None;
        let mut paragraph = Paragraph::default();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let title = heading.take().unwrap_or_default();
                    document.add_anchor(&title);
                }
                Event::Start(Tag::Paragraph) => paragraph = Paragraph::default(),
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    block = Some(CodeBlock {
                        info: info.into_string(),
                        text: String::new(),
                        file: paragraph.file(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => {
                    document.blocks.extend(block.take());
                    paragraph = Paragraph::default();
                }
                Event::Text(text) | Event::Code(text) if heading.is_some() => {
                    heading.get_or_insert_default().push_str(&text);
                }
                Event::Text(text) => match &mut block {
                    Some(block) => block.text.push_str(&text),
                    None => paragraph.text = text.into_string(),
                },
                Event::Code(code) => paragraph.code = Some(code.into_string()),
                _ => {}
            }
        }
        document
    }

    /// The name that code hosts and mdbook give a heading: its letters, digits, `-` and `_` in
    /// small letters, with `-` for spaces, and a number where there were others of that name.
    fn add_anchor(&mut self, title: &str) {
        let letters = title.trim().chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        });
        let name = letters.collect::<String>().to_lowercase();
        let mut unique = name.clone();
        for number in 1.. {
            if !self.anchors.contains(&unique) {
                break;
            }
            unique = format!("{name}-{number}");
        }
        self.anchors.push(unique);
    }
}

/// The end of a paragraph.
#[derive(Default)]
struct Paragraph {
    /// The last code span.
    code: Option<String>,
    /// The text after it.
    text: String,
}

impl Paragraph {
    fn file(&self) -> Option<String> {
        self.code.clone().filter(|_| self.text == ":")
    }
}

/// Every Markdown file of the repository, with its path below the root.
pub(crate) fn documents() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    let mut documents: Vec<(String, PathBuf)> = found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, path)
        })
        .collect();
    documents.sort();
    documents
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Build output and hidden folders; `src/target` has sources.
        let is_output = name == "target" && !folder.ends_with("src") || name == "node_modules";
        if name.starts_with('.') || is_output || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

#[test]
fn headings_have_the_anchors_of_code_hosts() {
    let text = "# The `[http]` table: TLS & tokens\n\n## a_b-c\n\n## a_b-c\n";
    let expected = ["the-http-table-tls--tokens", "a_b-c", "a_b-c-1"];
    assert_eq!(Document::parse(text).anchors, expected);
}

#[test]
fn a_block_is_the_file_that_the_paragraph_before_names() {
    let text =
        "Write `a.toml`:\n\n```toml\nx = 1\n```\n\n```sh\nls\n```\n\n`b` is:\n\n```sh\n```\n";
    let blocks = Document::parse(text).blocks;
    let files: Vec<_> = blocks.iter().map(|block| block.file.as_deref()).collect();
    assert_eq!(files, [Some("a.toml"), None, None]);
    assert_eq!(blocks[0].text, "x = 1\n");
}
