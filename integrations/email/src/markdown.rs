//! What is written in Markdown, as the two parts of an email: HTML that runs, loads and hides nothing, and plain text.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use std::collections::HashSet;

fn parser(markdown: &str) -> Parser<'_> {
    Parser::new_ext(markdown, Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES)
}

/// As HTML.
pub fn to_html(markdown: &str) -> String {
    let mut raw = String::new();
    html::push_html(&mut raw, parser(markdown));
    let mut cleaner = ammonia::Builder::default();
    // A picture tells whoever serves it that the email was opened.
    cleaner.rm_tags(["img"]).url_schemes(HashSet::from(["http", "https", "mailto", "tel"]));
    let body = cleaner.clean(&raw);
    format!("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n{body}</body></html>\n")
}

/// As plain text.
pub fn to_text(markdown: &str) -> String {
    let (mut text, mut links) = (String::new(), vec![]);
    for event in parser(markdown) {
        match event {
            Event::Text(part) | Event::Code(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak => text.push('\n'),
            Event::Rule => text.push_str("----\n\n"),
            Event::Start(Tag::Item) => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str("- ");
            }
            Event::Start(Tag::Link { dest_url, .. }) => links.push((text.len(), dest_url)),
            Event::End(TagEnd::Link) => {
                if let Some((begin, url)) = links.pop()
                    && text.get(begin..) != Some(&*url)
                {
                    text.push_str(&format!(" <{url}>"));
                }
            }
            Event::End(TagEnd::Item | TagEnd::TableRow | TagEnd::TableHead) if !text.ends_with('\n') => text.push('\n'),
            Event::End(TagEnd::TableCell) => text.push('\t'),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::List(_)) => {
                text.truncate(text.trim_end_matches('\n').len());
                text.push_str("\n\n");
            }
            // What is HTML already is for whoever reads HTML.
            _ => {}
        }
    }
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_load_or_hide_is_taken_out() {
        let hostile = "Hi<script>alert(1)</script> <img src=https://x.example/p.gif> [a](javascript:alert(1)) \
                       <a href=\"https://ok.example\" onclick=\"x()\">b</a> <iframe src=//x></iframe> <p style=\"display:none\">c</p>";
        let html = to_html(hostile);
        for wrong in ["script", "img", "javascript", "onclick", "iframe", "style"] {
            assert!(!html.contains(wrong), "{wrong} in {html}");
        }
        assert!(html.contains("href=\"https://ok.example\""), "{html}");
    }

    #[test]
    fn both_parts_say_the_same() {
        let markdown = "# Hello\n\nDear *Ada*,\n\n- one\n- [two](https://x.example/2)\n\n1 \\* 2 \\[x\\]\n";
        assert_eq!(to_text(markdown), "Hello\n\nDear Ada,\n\n- one\n- two <https://x.example/2>\n\n1 * 2 [x]\n");
        let html = to_html(markdown);
        for part in ["<h1>Hello</h1>", "<em>Ada</em>", "<li>one</li>", "1 * 2 [x]"] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }
}
