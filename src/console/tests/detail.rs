//! The detail pane: its tabs, tracebacks, search, and what leaves it.

use std::sync::Arc;

use ratatui::style::Modifier;

use super::*;
use crate::{
    console::{detail::Tab, layout::Focus, page::Page},
    message::{Body, Content},
    store::AuditEntry,
};

const JAVA: &str = include_str!("../traceback/samples/java.txt");

/// A store whose newest failed receiver, 96, has this traceback.
pub(super) fn failed_with(traceback: &str) -> Memory {
    let mut memory = Memory::of(100);
    let attempt = &mut memory.receivers.get_mut(&96).unwrap().attempts[0];
    attempt.error = Some(traceback.lines().next().unwrap().into());
    attempt.traceback = Some(traceback.into());
    memory
}

pub(super) fn saying(body: Body) -> Memory {
    let mut memory = Memory::of(100);
    let content = Content {
        subject: "Plan".to_owned(),
        body,
    };
    memory.contents.insert(96, content);
    memory
}

pub(super) fn saying_text(text: String) -> Memory {
    saying(Body::Parts { text, html: None })
}

pub(super) fn long_lines() -> Memory {
    let line = |n: usize| format!("line {n} {} end of {n}\n", "word ".repeat(40));
    saying_text((1..=50).map(line).collect())
}

/// The body of the pane on a small screen.
pub(super) fn pane(console: &Console) -> String {
    let screen = console.screen();
    let lines: Vec<_> = screen.lines().skip(4).collect();
    lines[..lines.len() - 1].join("\n")
}

pub(super) fn title(console: &Console) -> String {
    console.screen().lines().nth(3).unwrap().to_owned()
}

/// What is shown reversed, without the spaces at its end.
pub(super) fn reversed(console: &Console) -> String {
    let buffer = console.buffer();
    let cells = buffer.content.iter();
    let reversed = cells.filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    let text: String = reversed.map(ratatui::buffer::Cell::symbol).collect();
    text.trim_end().to_owned()
}

pub(super) fn copied(console: &Console) -> Vec<&str> {
    let copies = console.effects.iter().filter_map(|effect| match effect {
        Effect::Copy(text) => Some(text.as_str()),
        _ => None,
    });
    copies.collect()
}

pub(super) fn pages(console: &Console) -> Vec<&Arc<Page>> {
    let pages = console.effects.iter().filter_map(|effect| match effect {
        Effect::Page(page) => Some(page),
        _ => None,
    });
    pages.collect()
}

#[test]
fn every_tab_is_one_key_away() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter");
    for (key, tab, words) in [
        ("2", Tab::Transcript, "S: 250 2.1.0 ok"),
        ("3", Tab::Content, "there is news on Assignment 7"),
        ("4", Tab::History, "handed over by admin"),
        ("5", Tab::Details, "Metadata of the message"),
        ("1", Tab::Traceback, "Caused by:"),
    ] {
        console.press(key);
        assert_eq!(console.state.pane.tab, tab);
        assert!(console.screen().contains(words), "{}", console.screen());
    }
    assert_eq!(
        console.state.table.asked.text, "status:failed",
        "in the table the same digits show a status"
    );
    console.press("shift-tab");
    assert_eq!(console.state.pane.tab, Tab::Details);
    console.press("tab");
    assert_eq!(console.state.pane.tab, Tab::Traceback);
}

#[test]
fn where_there_is_room_the_tabs_show_their_keys_while_they_work() {
    let mut console = Console::sized(Memory::of(100), 120, 30);
    console.press("3 enter");
    assert!(title(&console).contains("1 Traceback │ 2 Transcript"));
    let mut beside = Console::sized(Memory::of(100), 139, 40);
    assert!(
        !beside.screen().contains("2 Transcript"),
        "the table has the keys"
    );
    beside.press("enter");
    assert!(
        beside.screen().contains("2 Transcript"),
        "{}",
        beside.screen()
    );
}

#[test]
fn the_failing_line_is_in_sight_first_and_foreign_frames_are_folded() {
    for (width, height) in [(80, 24), (60, 12)] {
        let mut console = Console::sized(failed_with(JAVA), width, height);
        console.press("3 enter");
        let shown = pane(&console);
        assert!(shown.contains("Mailer.open(Mailer.java:4)"), "{shown}");
        assert!(shown.contains("of foreign frames: z unfolds"), "{shown}");
        assert!(!shown.contains("java.base/"), "{shown}");
    }
    let mut console = Console::open(failed_with(JAVA));
    console.press("3 enter z");
    assert!(
        console.screen().contains("java.base/"),
        "{}",
        console.screen()
    );
    console.press("z");
    assert!(!console.screen().contains("java.base/"));
    console.press("2 z");
    assert!(console.footer().contains("only a traceback has frames"));
}

#[test]
fn the_history_holds_attempts_and_what_operators_did_in_order_of_time() {
    let mut memory = Memory::of(100);
    memory::try_again(&mut memory, 96);
    let detail = memory.receivers.get_mut(&96).unwrap();
    let deed = |at_: &str, who: &str, action: &str, target: &str| AuditEntry {
        at: at(at_),
        who: who.into(),
        action: action.into(),
        target: target.into(),
        count: 1,
        id: 1,
        receiver: None,
    };
    detail.actions = vec![
        deed("2026-11-22T14:00:00Z", "kari", "hold", "id:96"),
        deed("2026-11-22T14:30:00Z", "postroom", "duplicate", "attempt 3"),
    ];
    let mut console = Console::open(memory);
    console.press("3 enter 4");
    let shown = pane(&console);
    let places: Vec<_> = [
        "handed over by admin",
        "1. temporary",
        "hold by kari",
        "duplicate by postroom (attempt 3)",
        "2. temporary",
        "next try",
    ]
    .iter()
    .map(|words| {
        shown
            .find(words)
            .unwrap_or_else(|| panic!("{words} in {shown}"))
    })
    .collect();
    assert!(places.is_sorted(), "{shown}");
    assert!(
        !shown.contains("id:96"),
        "whose history it is need not be said"
    );
}

#[test]
fn details_say_everything_else_and_metadata_as_json() {
    let mut memory = Memory::of(100);
    let detail = memory.receivers.get_mut(&96).unwrap();
    detail.return_path = Some("".into());
    detail.reply_to = Some("desk@uni.example".into());
    detail.headers = vec![("X-Site".into(), "uni".into())];
    detail.resend_limit = Some(9);
    detail.expires_at = Some(at("2026-12-01T00:00:00Z"));
    detail.receiver_metadata = serde_json::json!({"seat": [1, 2]});
    let mut console = Console::sized(memory, 80, 31);
    console.press("3 enter 5");
    let mut shown = console.screen();
    console.press("G");
    shown.push_str(&console.screen());
    for words in [
        "Uid             ",
        "Return path     empty",
        "Reply-To        desk@uni.example",
        "Header          X-Site: uni",
        "Resend limit    9",
        "Expires         2026-12-01 01:00:00 +01:00",
        "\"seat\": [",
    ] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
}

#[test]
fn words_are_found_and_gone_through_and_esc_first_ends_the_search() {
    let mut console = Console::open(long_lines());
    console
        .press("3 enter 3 /")
        .type_in("END OF 4")
        .press("enter");
    assert!(
        console.footer().contains("no match for END OF 4"),
        "capitals count"
    );
    console.press("/").type_in("End of 4").press("enter");
    assert!(console.footer().contains("no match"));
    console.press("/").type_in("end of 4").press("enter");
    assert!(
        title(&console).contains("match 1 of 11"),
        "{}",
        title(&console)
    );
    assert!(pane(&console).contains("end of 4"), "{}", pane(&console));
    console.press("n");
    assert!(title(&console).contains("match 2 of 11"));
    assert!(pane(&console).contains("end of 40"), "{}", pane(&console));
    console.press("N N");
    assert!(title(&console).contains("match 11 of 11"), "and round");
    assert_eq!(
        reversed(&console),
        "end of 4",
        "the match stands out: {}",
        console.screen()
    );
    assert!(pane(&console).contains("line 49 "));
    console.press("esc");
    assert_eq!(console.state.focus, Focus::Detail);
    assert!(!title(&console).contains("match"));
    console.press("n");
    assert!(console.footer().contains("nothing is looked for"));
    console.press("esc");
    assert_eq!(console.state.focus, Focus::Table);
}

#[test]
fn so_many_matches_that_nobody_counts_them_are_told_so() {
    let mut console = Console::open(saying_text("a ".repeat(20_000)));
    console.press("3 enter 3 / a enter N");
    assert!(
        title(&console).contains("match 10,000 of ≥ 10,000"),
        "{}",
        title(&console)
    );
}

#[test]
fn a_search_also_finds_what_was_folded_and_goes_on_in_the_next_receiver() {
    let mut memory = failed_with(JAVA);
    let attempt = &mut memory.receivers.get_mut(&92).unwrap().attempts[0];
    attempt.traceback = Some(JAVA.into());
    let mut console = Console::open(memory);
    console
        .press("3 enter /")
        .type_in("socksSocket")
        .press("enter");
    assert!(console.footer().contains("no match"), "capitals count");
    console.press("/").type_in("sockssocket").press("enter");
    assert!(
        title(&console).contains("match 1 of 2"),
        "{}",
        title(&console)
    );
    assert!(pane(&console).contains("SocksSocketImpl"));
    console.press("J");
    assert!(title(&console).contains("2 matches"), "{}", title(&console));
    console.press("n");
    assert!(pane(&console).contains("SocksSocketImpl"));
}

#[test]
fn an_empty_search_or_esc_leaves_everything_as_it_was() {
    let mut console = Console::open(long_lines());
    console.press("3 enter 3 pgdn");
    let before = pane(&console);
    console.press("/").type_in("end").press("esc");
    assert_eq!(pane(&console), before);
    console.press("/ enter");
    assert_eq!(pane(&console), before);
    assert!(console.state.pane.search.is_none());
}

#[test]
fn long_lines_are_broken_or_run_on_and_can_be_followed_to_the_side() {
    let mut console = Console::open(long_lines());
    console.press("3 enter 3 right");
    assert!(
        console.footer().contains("w lets them run on"),
        "{}",
        console.footer()
    );
    console.press("w");
    let shown = pane(&console);
    assert!(
        shown.contains("line 1 word") && shown.contains("line 9 word"),
        "{shown}"
    );
    assert!(!shown.contains("end of 1"));
    for _ in 0..40 {
        console.press("right");
    }
    assert!(pane(&console).contains("end of 1\n"), "{}", pane(&console));
    assert!(title(&console).contains('→'));
    for _ in 0..40 {
        console.press("left");
    }
    assert_eq!(pane(&console), shown);
    console.press("/").type_in("end of 3").press("enter");
    assert!(
        pane(&console).contains("end of 3"),
        "a match is brought into sight: {}",
        pane(&console)
    );
    console.press("w");
    assert!(!title(&console).contains('→'));
}

#[test]
fn the_end_is_reached_and_no_line_is_skipped_on_the_way() {
    let mut console = Console::open(long_lines());
    console.press("3 enter 3");
    let mut seen = pane(&console);
    for _ in 0..40 {
        console.press("pgdn");
        seen.push_str(&pane(&console));
    }
    for n in 1..=50 {
        assert!(seen.contains(&format!("line {n} word")), "{n}");
    }
    assert!(title(&console).contains("100%"));
    let end = pane(&console);
    console.press("j j");
    assert_eq!(pane(&console), end);
    console.press("g");
    assert!(pane(&console).contains("Subject"));
    console.press("G");
    assert_eq!(pane(&console), end);
}

#[test]
fn twenty_megabytes_answer_keys_as_fast_as_twenty_lines() {
    let line =
        "Ærlig talt: a line of a log that somebody sent by mail, 80 columns or thereabouts.\n";
    let mut text = line.repeat(20 * 1024 * 1024 / line.len() / 2);
    // And half of it in one line.
    text.push_str(&"wörd ".repeat(10 * 1024 * 1024 / 6));
    let time = |text: String| {
        let mut console = Console::open(saying_text(text));
        console.press("3 enter 3");
        let begun = std::time::Instant::now();
        for _ in 0..10 {
            for key in ["j", "pgdn", "G", "k", "pgup", "w", "right", "w", "g", "3"] {
                console.press(key);
                let _ = console.buffer();
            }
        }
        begun.elapsed()
    };
    let (few, many) = (time(line.repeat(20)), time(text));
    // Were the text gone through for each of these 100 keys, they would take a minute.
    let most = few * 10 + std::time::Duration::from_secs(10);
    assert!(many < most, "{many:?}, of twenty lines {few:?}");
}

#[test]
fn hostile_text_is_harmless_in_every_tab_whatever_is_done_with_it() {
    let long = format!(
        "{}\u{202e}\t{}",
        "x\u{200b}".repeat(5000),
        "a\u{301}".repeat(9000)
    );
    let hostile = format!(
        "a\u{1b}]52;c;aGk=\u{7}b\u{9b}31m\u{2066}\u{e0041}\u{feff}\n  File \"\u{1b}[2J.py\", line 3\n    at com.\u{202e}x.Y.z(\u{1b}c:1)\n{long}\n"
    );
    let mut memory = saying(Body::Raw(
        format!(
            "Subject: {hostile}\r\nContent-Type: text/plain; name=\"\u{1b}[2J\"\r\n\r\n{hostile}"
        )
        .into_bytes(),
    ));
    let detail = memory.receivers.get_mut(&96).unwrap();
    for attempt in &mut detail.attempts {
        attempt.traceback = Some(hostile.as_str().into());
        attempt.transcript = Some(hostile.as_str().into());
    }
    detail.headers = vec![(hostile.as_str().into(), hostile.as_str().into())];
    detail.name = Some(hostile.as_str().into());
    detail.receiver_metadata = serde_json::json!({ hostile.clone(): hostile });
    detail.actions = vec![AuditEntry {
        at: now(),
        who: hostile.as_str().into(),
        action: hostile.as_str().into(),
        target: hostile.as_str().into(),
        count: 1,
        id: 1,
        receiver: None,
    }];
    let bad = |c: char| c != '\n' && crate::message::is_dangerous(c);
    for (width, height) in [(200, 60), (80, 24), (40, 10)] {
        let mut console = Console::sized(memory.clone(), width, height);
        console.press("3 enter");
        for keys in [
            "1", "z", "2", "w", "right", "G", "3", "v", "v", "v", "v", "w", "4", "5", "G", "y", "j",
        ] {
            console.press(keys);
            for cell in &console.buffer().content {
                assert!(
                    !cell.symbol().contains(bad),
                    "{:?} after {keys}",
                    cell.symbol()
                );
            }
        }
        console.press("esc /");
        console.event(Event::Paste(hostile.clone()));
        console.press("enter");
        for tab in ["1", "2", "3", "4", "5"] {
            console.press(tab).press("y y").press("y a").press("p");
            assert!(!console.screen().contains(bad));
        }
        console.press("y t");
        assert!(copied(&console).iter().all(|text| !text.contains(bad)));
        assert!(
            pages(&console)
                .iter()
                .all(|page| !page.plain().contains(bad))
        );
    }
}
