//! Markdown as data that a template sets: whatever is written there, it is never a program.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

/// The text as a tree of `{kind, …, content}`.
pub(crate) fn tree(text: &str) -> Value {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut open: Vec<(Value, Vec<Value>)> = vec![(json!({}), vec![])];
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(tag) => open.push((node(&tag), vec![])),
            Event::End(end) => close(&mut open, end),
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                leaf(&mut open, json!({ "kind": "text", "text": text.as_ref() }));
            }
            Event::SoftBreak => leaf(&mut open, json!({ "kind": "text", "text": " " })),
            Event::HardBreak => leaf(&mut open, json!({ "kind": "break" })),
            Event::Rule => leaf(&mut open, json!({ "kind": "rule" })),
            Event::TaskListMarker(done) => {
                leaf(&mut open, json!({ "kind": "text", "text": if done { "[x] " } else { "[ ] " } }));
            }
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                leaf(&mut open, json!({ "kind": "text", "text": text.as_ref() }));
            }
        }
    }
    open.pop().map(|(_, content)| content).unwrap_or_default().into()
}

fn leaf(open: &mut [(Value, Vec<Value>)], leaf: Value) {
    if let Some((_, content)) = open.last_mut() {
        content.push(leaf);
    }
}

fn close(open: &mut Vec<(Value, Vec<Value>)>, _: TagEnd) {
    if open.len() < 2 {
        return;
    }
    if let Some((mut node, content)) = open.pop() {
        node["content"] = content.into();
        leaf(open, node);
    }
}

fn node(tag: &Tag<'_>) -> Value {
    match tag {
        Tag::Paragraph => json!({ "kind": "paragraph" }),
        Tag::Heading { level, .. } => json!({ "kind": "heading", "level": rank(*level) }),
        Tag::BlockQuote(_) => json!({ "kind": "quote" }),
        Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => json!({ "kind": "code" }),
        Tag::List(start) => json!({ "kind": "list", "start": start }),
        Tag::Item => json!({ "kind": "item" }),
        Tag::Table(columns) => json!({ "kind": "table", "columns": columns.len() }),
        Tag::TableHead => json!({ "kind": "head" }),
        Tag::TableRow => json!({ "kind": "row" }),
        Tag::TableCell => json!({ "kind": "cell" }),
        Tag::Emphasis => json!({ "kind": "emphasis" }),
        Tag::Strong => json!({ "kind": "strong" }),
        Tag::Strikethrough => json!({ "kind": "strike" }),
        // Where a link leads is no part of a paper; what it is called is.
        _ => json!({ "kind": "span" }),
    }
}

fn rank(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_program_is_a_text() {
        let tree = tree("# One\n\n#let x = 1 <b>*no*</b> **yes**");
        let expected = json!([
            { "kind": "heading", "level": 1, "content": [{ "kind": "text", "text": "One" }] },
            { "kind": "paragraph", "content": [
                { "kind": "text", "text": "#let x = 1 " },
                { "kind": "text", "text": "<b>" },
                { "kind": "emphasis", "content": [{ "kind": "text", "text": "no" }] },
                { "kind": "text", "text": "</b>" },
                { "kind": "text", "text": " " },
                { "kind": "strong", "content": [{ "kind": "text", "text": "yes" }] },
            ] },
        ]);
        assert_eq!(tree, expected);
    }

    #[test]
    fn a_table_has_its_head_and_rows() {
        let tree = tree("| a | b |\n|---|---|\n| 1 | 2 |");
        assert_eq!(tree[0]["kind"], "table");
        assert_eq!(tree[0]["columns"], 2);
        assert_eq!(tree[0]["content"][0]["kind"], "head");
        assert_eq!(tree[0]["content"][1]["content"][1]["content"][0]["text"], "2");
    }
}
