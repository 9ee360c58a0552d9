//! Formats an expression with comments.

// The parts of the top-level `and` or `or` are written one per line, and so are those of a group
// with a comment inside. A comment at the end of a line stays on the line of the condition that it
// follows; any other one goes before the next condition:
//
//     a==1 and b==2 // about b      a == 1
//     and ( c == 3 # about c        and b == 2  // about b
//      # or d == 4                  and (
//      or e == 5 )                      c == 3  # about c
//                                       # or d == 4
//                                       or e == 5
//                                   )

use reflexarc_diagnostic::Span;

use super::{DEEPEST_INDENT, expression, json_comments};
use crate::spanned::{Kind, SpannedField, SpannedNode};

/// The tree as an expression with the comments of `source`, whose spans are `comments`.
pub(crate) fn print(tree: &SpannedNode, source: &str, comments: &[Span]) -> String {
    let mut printer = Printer {
        source,
        all: comments,
        comments,
        lines: Vec::new(),
    };
    printer.connected(tree, 0, 0..source.len());
    printer.comments_before(source.len(), 0);
    printer.lines.join("\n")
}

struct Printer<'s> {
    source: &'s str,
    /// Every comment: brackets in them do not count.
    all: &'s [Span],
    /// The comments that are not written yet.
    comments: &'s [Span],
    lines: Vec<String>,
}

/// How far a line below a group is indented, in columns.
const STEP: usize = 4;

impl<'s> Printer<'s> {
    /// Writes the parts of a connective one per line, or a node that is none as its only part.
    /// `within` is the part of the source from the bracket before the node to the one after it.
    fn connected(&mut self, node: &SpannedNode, indent: usize, within: Span) {
        let (connective, parts) = match &node.kind {
            Kind::All(parts) => ("and ", parts.as_slice()),
            Kind::Any(parts) => ("or ", parts.as_slice()),
            Kind::Not(_) | Kind::Field(_) => ("", std::slice::from_ref(node)),
        };
        let mut start = within.start;
        for (i, part) in parts.iter().enumerate() {
            let end = parts.get(i + 1).map_or(within.end, |next| next.span.start);
            let prefix = if i > 0 { connective } else { "" };
            self.part(part, prefix, indent, start..end);
            start = part.span.end;
        }
    }

    /// Writes one part, with the comments before it, in it, and at the end of its line.
    fn part(&mut self, part: &SpannedNode, prefix: &str, indent: usize, within: Span) {
        let (not, inner) = match &part.kind {
            Kind::All(_) | Kind::Any(_) => ("", part),
            Kind::Not(inner) => ("not ", &**inner),
            Kind::Field(field) => return self.field(part, field, prefix, indent, within.end),
        };
        let close = self.close(inner.span.end).min(within.end);
        let part_end = part.span.end.max(close);
        let first = first_span(inner).start;
        // A comment between `(` and the first condition alone does not break the group.
        if self
            .comments_after(first)
            .iter()
            .any(|comment| comment.start < close)
        {
            let open = self.open(within.start..first);
            self.comments_before(open.unwrap_or(first), indent);
            self.line(indent, &format!("{prefix}{not}("));
            self.connected(inner, indent + STEP, open.unwrap_or(within.start)..close);
            self.comments_before(close, indent + STEP);
            self.line(indent, ")");
        } else {
            self.comments_before(first, indent);
            let text = expression::part_at(&part.to_node(), indent);
            self.line(indent, &format!("{prefix}{text}"));
        }
        self.end_of_line(part_end, within.end);
    }

    /// Writes a field with the comments in it.
    fn field(
        &mut self,
        part: &SpannedNode,
        field: &SpannedField,
        prefix: &str,
        indent: usize,
        end: usize,
    ) {
        self.comments_before(part.span.start, indent);
        let text = expression::part_at(&part.to_node(), indent);
        if !self.has_comment_before(part.span.end) {
            self.line(indent, &format!("{prefix}{text}"));
            self.end_of_line(part.span.end, end);
            return;
        }
        // `a in [ "x", # one` keeps its elements on lines of their own.
        if let Some(text) = self.array(&part.span, &text, indent) {
            self.comments = self.comments_after(part.span.end);
            self.line(indent, &format!("{prefix}{text}"));
            self.end_of_line(part.span.end, end);
            return;
        }
        // `a (== "x" # one` likewise: a line for each alternative, or for each condition of the
        // only one.
        let pieces: Vec<(Span, String)> = match field.alternatives.as_slice() {
            [only] => only
                .predicates
                .iter()
                .map(|spanned| {
                    (
                        spanned.span.clone(),
                        expression::predicate(&spanned.predicate),
                    )
                })
                .collect(),
            several => several
                .iter()
                .map(|one| {
                    (
                        one.span.clone(),
                        expression::conditions(&one.to_alternative()),
                    )
                })
                .collect(),
        };
        let in_order = pieces
            .windows(2)
            .all(|pair| pair[0].0.end <= pair[1].0.start);
        let first = pieces.first().map_or(part.span.end, |(span, _)| span.start);
        let inside = |comment: &Span| comment.start > first && comment.start < part.span.end;
        if pieces.len() > 1 && in_order && self.comments.iter().any(inside) {
            self.comments_before(self.open(field.key.end..first).unwrap_or(first), indent);
            self.line(
                indent,
                &format!("{prefix}{} (", expression::path(&field.path)),
            );
            let connective = if field.alternatives.len() > 1 {
                "or "
            } else {
                "and "
            };
            for (i, (span, text)) in pieces.iter().enumerate() {
                let next = pieces
                    .get(i + 1)
                    .map_or(part.span.end, |(next, _)| next.start);
                let prefix = if i > 0 { connective } else { "" };
                self.condition(&format!("{prefix}{text}"), span, indent + STEP, next);
            }
            self.comments_before(part.span.end, indent + STEP);
            self.line(indent, ")");
            self.end_of_line(part.span.end, end);
            return;
        }
        self.condition(&format!("{prefix}{text}"), &part.span, indent, end);
    }

    /// Writes a text that is not broken further. Of the comments inside it only the last one can
    /// stay on its line, and only if none follows there.
    fn condition(&mut self, text: &str, span: &Span, indent: usize, end: usize) {
        self.comments_before(span.start, indent);
        let inside = self.comments.len() - self.comments_after(span.end).len();
        let follows = self
            .comments
            .get(inside)
            .is_some_and(|comment| comment.start < end && self.ends_line(span.end, comment));
        let kept = usize::from(inside > 0 && !follows);
        let before = self
            .comments
            .get(inside - kept)
            .map_or(span.end, |comment| comment.start);
        self.comments_before(before, indent);
        self.line(indent, text);
        if kept > 0
            && let Some((comment, others)) = self.comments.split_first()
        {
            self.comments = others;
            self.append(comment);
        } else {
            self.end_of_line(span.end, end);
        }
    }

    /// The condition `text` with the array of the source at `span` in place of its own array, if
    /// every comment in the span is in that array.
    fn array(&self, span: &Span, text: &str, indent: usize) -> Option<String> {
        let inside: Vec<Span> = self
            .comments
            .iter()
            .take_while(|comment| comment.start < span.end)
            .cloned()
            .collect();
        let (open, close) = brackets(&self.source[..span.end], span.start, &inside)?;
        let within = |comment: &Span| open < comment.start && comment.start < close;
        let (printed_open, printed_close) = brackets(text, 0, &[])?;
        if !inside.iter().all(within) || text[..printed_open].contains('(') {
            return None;
        }
        let (array, count) = json_comments::array(&self.source[..=close], open, &inside, indent)?;
        // `in ["x"]` is printed as `== "x"`; only an array with the same elements is replaced.
        let (_, printed) = json_comments::array(text, printed_open, &[], indent)?;
        (count == printed).then(|| {
            format!(
                "{}{array}{}",
                &text[..printed_open],
                &text[printed_close + 1..]
            )
        })
    }

    /// Writes the comments before a position of the source on lines of their own.
    fn comments_before(&mut self, position: usize, indent: usize) {
        while let Some((comment, others)) = self.comments.split_first()
            && comment.start < position
        {
            self.comments = others;
            self.line(indent, self.source[comment.clone()].trim_end());
        }
    }

    /// Appends the next comment to the last line, if it is at the end of the line on which the part
    /// ends.
    fn end_of_line(&mut self, part_end: usize, end: usize) {
        if let Some((comment, others)) = self.comments.split_first()
            && comment.start < end
            && self.ends_line(part_end, comment)
        {
            self.comments = others;
            self.append(comment);
        }
    }

    /// Whether a comment is at the end of the line on which a part, or the group around it, ends.
    // Parentheses that are not needed are not in the tree: `(a == 1\n) # about a`.
    fn ends_line(&self, part_end: usize, comment: &Span) -> bool {
        let Some(between) = self.source.get(part_end..comment.start) else {
            return false;
        };
        let (before, line) = match between.rsplit_once('\n') {
            Some((before, line)) => (before, line.contains(')').then_some(line)),
            None => ("", Some(between)),
        };
        line.is_some_and(|line| !line.contains('(')) && !before.contains(['#', '('])
    }

    /// The end of the first `(` in a part of the source, comments aside.
    fn open(&self, Span { mut start, end }: Span) -> Option<usize> {
        loop {
            let comment = after(self.all, start)
                .first()
                .filter(|next| next.start < end);
            let text = self
                .source
                .get(start..comment.map_or(end, |comment| comment.start))?;
            if let Some(at) = text.find('(') {
                return Some(start + at + 1);
            }
            start = comment?.end;
        }
    }

    /// The end of the closing parenthesis after a position, or the position if none follows.
    fn close(&self, position: usize) -> usize {
        let mut at = position;
        let mut comments = after(self.all, position).iter();
        loop {
            let comment = comments.next();
            let end = comment.map_or(self.source.len(), |comment| comment.start);
            let between = self.source.get(at..end).unwrap_or_default();
            let text = between.trim_start();
            if text.starts_with(')') {
                return at + between.len() - text.len() + 1;
            }
            match comment {
                Some(comment) if text.is_empty() => at = comment.end,
                _ => return position,
            }
        }
    }

    fn comments_after(&self, position: usize) -> &'s [Span] {
        after(self.comments, position)
    }

    fn has_comment_before(&self, position: usize) -> bool {
        self.comments
            .first()
            .is_some_and(|comment| comment.start < position)
    }

    fn line(&mut self, indent: usize, text: &str) {
        let indent = indent.min(DEEPEST_INDENT);
        self.lines.push(format!("{:indent$}{text}", ""));
    }

    fn append(&mut self, comment: &Span) {
        let comment = self.source[comment.clone()].trim_end();
        if let Some(line) = self.lines.last_mut() {
            line.push_str("  ");
            line.push_str(comment);
        }
    }
}

/// The comments after a position.
fn after(comments: &[Span], position: usize) -> &[Span] {
    &comments[comments.partition_point(|comment| comment.start < position)..]
}

/// The span of the first condition in a node.
fn first_span(node: &SpannedNode) -> &Span {
    match &node.kind {
        Kind::All(parts) | Kind::Any(parts) => parts.first().map_or(&node.span, first_span),
        Kind::Not(inner) => first_span(inner),
        Kind::Field(_) => &node.span,
    }
}

/// The positions of the first `[` after `from` that is not in a string or a comment, and of the
/// `]` that closes it.
fn brackets(text: &str, from: usize, comments: &[Span]) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let (mut at, mut in_string, mut open) = (from, false, None);
    while let Some(&byte) = bytes.get(at) {
        let comment = comments.iter().find(|comment| comment.start == at);
        match (byte, comment) {
            (_, Some(comment)) if !in_string => {
                at = comment.end;
                continue;
            }
            (b'\\', _) if in_string => at += 1,
            (b'"', _) => in_string = !in_string,
            (b'[', _) if !in_string && open.is_none() => open = Some(at),
            (b']', _) if !in_string => return open.map(|open| (open, at)),
            _ => {}
        }
        at += 1;
    }
    None
}
