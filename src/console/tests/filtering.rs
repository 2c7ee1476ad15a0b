//! The filter panel and the query line: two views of one query.

use super::*;
use crate::console::{filter::Choice, question::Sort, state::Overlay};
use crate::store::Count;

fn text(console: &Console) -> &str {
    &console.state.table.asked.text
}

/// How many the panel says match a choice.
fn counted(console: &Console, choice: &Choice) -> Option<Count> {
    let Some(Overlay::Filter(panel)) = &console.state.overlay else {
        panic!("no panel is open");
    };
    let counts = panel.counts.iter();
    let mut counts = counts.filter(|(other, _)| other == choice);
    counts.next().map(|(_, count)| *count)
}

#[test]
fn turning_a_choice_edits_the_querys_text_and_the_text_turns_the_choice() {
    let mut console = Console::open(Memory::of(100));
    console
        .press("/")
        .type_in("april -type:x")
        .press("enter f j space");
    assert_eq!(text(&console), "april -type:x status:failed");
    let screen = console.screen();
    assert!(screen.contains("[x] Failed"), "{screen}");
    assert!(screen.contains("and april -type:x"), "{screen}");
    console.press("j space");
    assert_eq!(text(&console), "april -type:x status:failed,error");
    console.press("k space j space");
    assert_eq!(text(&console), "april -type:x");
    console
        .press("esc /")
        .type_in("status:sent")
        .press("enter f");
    assert!(
        console.screen().contains("[x] Sent"),
        "{}",
        console.screen()
    );
    console.press("tab j j space");
    assert_eq!(text(&console), "status:sent sent:7d");
    console.press("k space");
    assert_eq!(
        text(&console),
        "status:sent sent:today",
        "one date at a time"
    );
    console.press("k space");
    assert_eq!(text(&console), "status:sent");
    console.press("u");
    assert_eq!(text(&console), "status:sent sent:today");
    assert!(console.state.overlay.is_some(), "the panel is still open");
}

#[test]
fn every_choice_says_how_many_it_would_show_beside_the_others() {
    let mut console = Console::open(Memory::of(100));
    let failed = Choice::Status(crate::message::Status::Failed);
    let feedback = Choice::Type("feedback".to_owned());
    console.press("f");
    assert_eq!(counted(&console, &failed), Some(Count::Exact(20)));
    assert_eq!(counted(&console, &feedback), Some(Count::Exact(40)));
    console.press("j space");
    assert_eq!(counted(&console, &failed), Some(Count::Exact(20)));
    assert_eq!(counted(&console, &feedback), Some(Count::Exact(10)));
    console.store.set(96, crate::message::State::Accepted);
    console.tick();
    assert_eq!(counted(&console, &failed), Some(Count::Exact(19)));
    let mut many = Console::open(Memory::of(12_000));
    many.press("f");
    assert!(many.screen().contains("≥ 10,000"), "{}", many.screen());
}

#[test]
fn counting_choices_never_delays_the_rows_and_an_old_count_is_not_taken_for_a_new_one() {
    let mut console = Console::open(Memory::of(100));
    console.hold();
    console.press("f j space space j space");
    let facets = console.asked.iter();
    let facets = facets.filter(|ask| ask.question.sort() == Sort::Facet);
    assert_eq!(facets.count(), 1, "one at a time, the latest question wins");
    console.release();
    let error = Choice::Status(crate::message::Status::Error);
    assert_eq!(text(&console), "status:error");
    assert_eq!(counted(&console, &error), Some(Count::Exact(8)));
}

#[test]
fn a_small_screen_shows_the_panel_alone_and_a_large_one_beside_the_rows() {
    let mut small = Console::sized(Memory::of(100), 60, 12);
    small.press("f");
    assert!(!small.screen().contains("@example"), "{}", small.screen());
    small.press("esc");
    assert!(small.screen().contains("@example"));
    let mut large = Console::sized(Memory::of(100), 80, 24);
    large.press("f");
    assert!(large.screen().contains("omar@"), "{}", large.screen());
    // Every line of it can be reached, and is seen.
    for _ in 0..40 {
        small.press("f down down down down down down down down down down down down");
        assert!(small.screen().contains('['), "{}", small.screen());
        small.press("esc");
    }
}

#[test]
fn tab_completes_fields_values_and_kept_queries() {
    let mut console = Console::open(Memory::of(100));
    console.press("/").type_in("sta");
    console.press("tab");
    console.type_in("fa").press("tab enter");
    assert_eq!(text(&console), "status:failed");
    console.press("/").type_in("type:");
    let screen = console.screen();
    for word in ["comment", "deadline_moved", "feedback"] {
        assert!(screen.contains(word), "{word} in\n{screen}");
    }
    console.press("tab tab shift-tab tab enter");
    assert_eq!(text(&console), "type:deadline_moved");
    console.press("/").type_in("stu").press("tab enter");
    assert_eq!(text(&console), "status:failed,error", "from the config");
    console.press("/").type_in("user:zz").press("tab");
    assert_eq!(console.hint(), "nothing completes this");
}

#[test]
fn the_line_says_how_many_match_while_it_is_written() {
    let mut console = Console::open(Memory::of(100));
    console.press("/").type_in("status:failed");
    assert!(
        console.screen().contains("20 match"),
        "{}",
        console.screen()
    );
    assert!(text(&console).is_empty(), "nothing is shown before Enter");
    console.press("backspace");
    assert!(console.screen().contains("not yet a query"));
    console.hold();
    console.press("d").type_in(",error type:comment");
    let open = console.asked.iter();
    let open = open.filter(|ask| ask.question.sort() == Sort::Preview);
    assert_eq!(open.count(), 1, "the latest question wins");
    assert!(
        console.screen().contains("counting…"),
        "{}",
        console.screen()
    );
    console.release();
    assert!(
        console.screen().contains("13 match"),
        "{}",
        console.screen()
    );
}

#[test]
fn a_query_without_an_index_says_so_while_it_is_written_and_beside_its_rows() {
    let mut memory = Memory::of(100);
    memory.scan = Some(crate::store::Scan {
        terms: vec!["lang:nb".to_owned()],
        receivers: 9_000_000,
    });
    let mut console = Console::sized(memory, 110, 24);
    console.press("/").type_in("lang:nb");
    assert!(
        console.screen().contains("no index leads to lang:nb"),
        "{}",
        console.screen()
    );
    console.press("enter");
    assert!(
        console.screen().contains("no index   20 match"),
        "{}",
        console.screen()
    );
    console.press("1");
    assert!(!console.screen().contains("no index"));
}

#[test]
fn queries_that_were_asked_come_back_and_are_kept() {
    let mut console = Console::open(Memory::of(100));
    for query in ["april", "type:feedback", "april"] {
        console.press("/").type_in(query).press("enter");
    }
    assert_eq!(console.state.history, ["type:feedback", "april"]);
    assert_eq!(console.kept().len(), 3);
    console.press("/").type_in("x").press("up up up");
    let line = |console: &Console| match &console.state.overlay {
        Some(Overlay::Query(line)) => line.text().to_owned(),
        _ => panic!("no query line"),
    };
    assert_eq!(line(&console), "type:feedback");
    console.press("down");
    assert_eq!(line(&console), "april");
    console.press("down");
    assert_eq!(line(&console), "x", "what was being written is not lost");
    console.press("up up enter");
    assert_eq!(text(&console), "type:feedback");
}

#[test]
fn a_query_is_kept_under_a_name_and_forgotten_again() {
    let mut console = Console::open(Memory::of(100));
    console
        .press("/")
        .type_in("user:april status:failed")
        .press("ctrl-s");
    console.type_in("aprils").press("enter");
    assert!(
        console.hint().contains("kept as `aprils` in /home/april/"),
        "it says where: {}",
        console.hint()
    );
    console.press("esc /").type_in("apr").press("tab enter");
    assert_eq!(text(&console), "user:april status:failed");
    console
        .press("/")
        .type_in("april")
        .press("ctrl-s")
        .type_in("stuck")
        .press("enter");
    assert!(
        console
            .hint()
            .contains("the config has a query named `stuck`")
    );
    console.press("esc /").type_in("apri").press("tab ctrl-x");
    assert!(console.state.saved.is_empty(), "{}", console.hint());
    assert_eq!(
        console.kept().last(),
        Some(&&Change::Forgotten("aprils".to_owned()))
    );
    console.press("esc /").type_in("stuc").press("tab ctrl-x");
    assert!(console.hint().contains("[queries]"), "{}", console.hint());
    console.press("esc /").type_in("status:bad").press("ctrl-s");
    assert!(
        console.screen().contains('^'),
        "no name for what cannot be read"
    );
}

#[test]
fn a_type_has_its_label_wherever_it_is_read_and_its_word_where_a_query_takes_it() {
    let mut console = Console::sized(Memory::of(100), 138, 30);
    let label = "Comment or delivery";
    let screen = console.screen();
    let labelled = screen
        .lines()
        .filter(|line| line.contains("  Comment or…  "));
    assert!(labelled.count() > 5, "{screen}");
    console.press("enter 5");
    let screen = console.screen();
    assert!(screen.contains(&format!("{label} (comment)")), "{screen}");
    console.press("esc f");
    assert!(console.screen().contains(&format!("[ ] {label} ")));
    console.press("tab tab space");
    assert_eq!(text(&console), "type:comment");
    console.press("esc /").type_in("type:").press("tab");
    let screen = console.screen();
    let offered = screen.lines().find(|line| line.contains(" comment "));
    assert!(offered.unwrap().contains(label), "{screen}");
}
