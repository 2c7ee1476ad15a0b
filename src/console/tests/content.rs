//! The content of a message in the detail: its text, its HTML, its headers and its source.

use super::{
    detail::{pages, pane, saying, title},
    *,
};
use crate::message::{Body, Content};

/// A whole message with text, HTML and two files.
pub(super) const WHOLE: &str = "From: Devilry <no-reply@uni.example>\r\nTo: april@example.com\r\nSubject: =?utf-8?q?Kari_S=C3=B8rlie?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nF=C3=B8rst tekst.\r\n--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<table><tr><td>one</td><td>two</td></tr></table>\r\n--a--\r\n--b\r\nContent-Type: application/pdf; name=\"plan.pdf\"\r\nContent-Disposition: attachment; filename=\"plan.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"marks\u{202e}vsc.exe\"\r\n\r\na,b\r\n--b--\r\n";

#[test]
fn of_a_whole_message_text_html_headers_source_and_attachments_can_be_read() {
    let mut console = Console::open(saying(Body::Raw(WHOLE.as_bytes().to_vec())));
    console.press("3 enter 3");
    let shown = pane(&console);
    assert!(
        shown.contains("Text │ HTML │ Headers │ Source │ Attachments"),
        "{shown}"
    );
    assert!(shown.contains("Først tekst."), "decoded: {shown}");
    console.press("v");
    assert!(pane(&console).contains("one│two"), "{}", pane(&console));
    console.press("v");
    assert!(pane(&console).contains("Subject: =?utf-8?q?Kari_S=C3=B8rlie?="));
    assert!(!pane(&console).contains("--b"), "{}", pane(&console));
    console.press("v");
    assert!(
        pane(&console).contains("F=C3=B8rst tekst."),
        "{}",
        pane(&console)
    );
    console.press("v");
    let shown = pane(&console);
    assert!(
        shown.contains("1.   plan.pdf  application/pdf, 5 bytes"),
        "{shown}"
    );
    assert!(
        shown.contains("2.   marks\u{fffd}vsc.exe  text/csv"),
        "made visible: {shown}"
    );
    console.press("v");
    assert!(pane(&console).contains("Først tekst."), "and round");
    console.press("V");
    assert!(pane(&console).contains("plan.pdf"));
}

#[test]
fn who_reads_one_part_reads_the_same_of_the_next_receiver_where_there_is_one() {
    let mut memory = Memory::of(100);
    let only_text = Content {
        subject: "Plan".to_owned(),
        body: Body::Parts {
            text: "nothing but text".to_owned(),
            html: None,
        },
    };
    memory.contents.insert(92, only_text);
    let mut console = Console::open(memory);
    console.press("3 enter 3 v");
    assert!(pane(&console).contains("# Hello"), "{}", pane(&console));
    console.press("J");
    assert!(pane(&console).contains("nothing but text"));
    console.press("v");
    assert!(
        console.footer().contains("but one part"),
        "{}",
        console.footer()
    );
    console.press("J");
    assert!(pane(&console).contains("# Hello"));
}

#[test]
fn until_a_content_is_read_the_pane_says_so_and_no_key_waits() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter");
    console.hold();
    console.press("3");
    assert!(pane(&console).contains("reading…"));
    console.press("p");
    assert!(console.footer().contains("still being read"));
    console.press("4");
    assert!(pane(&console).contains("handed over"));
    console.release();
    assert!(pane(&console).contains("handed over"));
    console.press("3");
    assert!(pane(&console).contains("there is news"));
}

#[test]
fn a_content_that_could_not_be_read_is_asked_for_again() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter");
    console.store.broken = Some("the disk is gone".to_owned());
    console.press("3");
    assert!(console.screen().contains("the disk is gone"));
    console.store.broken = None;
    console.tick();
    assert!(
        pane(&console).contains("there is news"),
        "{}",
        console.screen()
    );
}

#[test]
fn html_is_laid_out_for_the_pane_it_is_shown_in() {
    let html = format!("<p>{}</p>", "word ".repeat(60));
    let mut console = Console::sized(
        saying(Body::Parts {
            text: String::new(),
            html: Some(html),
        }),
        80,
        24,
    );
    console.press("3 enter 3 v");
    let before = console.state.pane.page.len();
    console.resize(60, 24);
    assert!(console.state.pane.page.len() > before);
}

#[test]
fn what_leaves_the_pane_is_the_content_and_not_the_line_that_names_its_parts() {
    let mut console = Console::open(saying(Body::Raw(WHOLE.as_bytes().to_vec())));
    console.press("3 enter 3 s enter v s enter y a p");
    let left: Vec<_> = console
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Save(save) => Some(String::from_utf8(save.bytes.to_vec()).unwrap()),
            Effect::Copy(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(left[0], "Først tekst.", "decoded, and nothing else with it");
    assert!(left[1].starts_with("Subject "), "{}", left[1]);
    assert!(left[1].contains("one│two"), "{}", left[1]);
    assert_eq!(left[1], left[2]);
    let mut paged = Vec::new();
    pages(&console)[0].write(&mut paged).unwrap();
    assert_eq!(String::from_utf8(paged).unwrap(), left[1], "and the pager");
}

#[test]
fn on_the_smallest_screen_the_content_has_every_line_and_the_title_names_its_part() {
    let raw = saying(Body::Raw(WHOLE.as_bytes().to_vec()));
    let mut console = Console::sized(raw, 40, 10);
    console.press("3 enter 3");
    let shown = pane(&console);
    assert!(
        shown.trim_start().starts_with("Subject") && shown.contains(" To "),
        "{shown}"
    );
    assert!(title(&console).contains(" Text "), "{}", title(&console));
    console.press("v");
    assert!(title(&console).contains(" HTML "), "{}", title(&console));
    console.press("g");
    assert!(
        pane(&console).contains("Text │ HTML"),
        "it is there for who goes up: {}",
        pane(&console)
    );
    let mut roomy = Console::open(saying(Body::Raw(WHOLE.as_bytes().to_vec())));
    roomy.press("3 enter 3");
    assert!(pane(&roomy).trim_start().starts_with("Text │ HTML"));
}
