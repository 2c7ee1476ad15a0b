use proptest::prelude::*;

use super::*;

fn page(text: &str) -> Page {
    let mut page = Page::default();
    page.text(Role::Plain, text);
    page
}

fn shape(width: usize, height: usize, wrap: bool) -> Shape {
    Shape {
        width,
        height,
        wrap,
    }
}

/// What stands on a screen, row by row.
fn screen(page: &Page, from: Spot, shape: Shape) -> Vec<&str> {
    let rows = page.shown(from, shape).into_iter();
    rows.map(|row| &page.line(row.line)[row.range]).collect()
}

#[test]
fn a_line_that_is_too_long_goes_on_and_is_whole_again_for_a_copy() {
    let line = "å1".repeat(5000);
    let page = page(&format!("before\n{line}\nafter"));
    assert_eq!(page.len(), 2 + line.len().div_ceil(LONGEST - 1));
    for at in 1..page.len() - 1 {
        assert_eq!(page.whole_line(at), line);
    }
    assert_eq!(page.whole_line(0), "before");
    assert_eq!(page.plain(), format!("before\n{line}\nafter\n"));
}

#[test]
fn a_text_of_nothing_but_line_ends_or_controls_is_cut_and_says_so() {
    let more = "There is more: saved in a file it can be read whole.";
    let line_ends = page(&"\n".repeat(4 << 20));
    assert_eq!(line_ends.len(), MOST_LINES + 1);
    assert_eq!(line_ends.line(MOST_LINES), more);
    let controls = page(&format!("{}\n", "\u{1b}".repeat(1 << 20)).repeat(64));
    assert!(controls.text.len() < LARGEST + (16 << 20));
    assert_eq!(controls.line(controls.len() - 1), more);
    assert_eq!(page("a\r\n\r\nb\n").plain(), "a\n\nb\n");
}

#[test]
fn words_are_found_whatever_their_case_unless_capitals_are_asked_for() {
    let page = page("Ærlig talt\nærlig Talt TALT");
    let places = |words| -> Vec<(usize, usize)> {
        let hits = page.find(words).into_iter();
        hits.map(|hit| (hit.line, hit.at)).collect()
    };
    assert_eq!(places("talt"), [(0, 7), (1, 7), (1, 12)]);
    assert_eq!(places("Talt"), [(1, 7)]);
    assert_eq!(places("ærlig"), [(0, 0), (1, 0)]);
    assert_eq!(places("t t"), [(1, 10)]);
    assert_eq!(places(""), []);
}

#[test]
fn a_place_too_many_to_tell_is_told_by_one_more() {
    assert_eq!(page(&"a".repeat(20_000)).find("a").len(), MOST_HITS + 1);
}

proptest! {
    #[test]
    fn going_down_row_by_row_shows_every_letter_and_going_up_again_leads_back(
        text in "([a-zæ日 \u{301}\u{200b}]{0,60}\n){0,12}",
        width in 1..40_usize,
        height in 1..9_usize,
        wrap in any::<bool>(),
    ) {
        let page = page(&text);
        let shape = shape(width, height, wrap);
        let mut at = Spot::default();
        let mut seen: Vec<String> = screen(&page, at, shape).into_iter().map(str::to_owned).collect();
        let mut steps = 0;
        while at < page.last(shape) {
            at = page.moved(at, 1, shape);
            steps += 1;
            seen.push((*screen(&page, at, shape).last().unwrap()).to_owned());
        }
        let lines: String = (0..page.len()).map(|line| page.line(line)).collect();
        prop_assert_eq!(seen.concat(), lines);
        prop_assert_eq!(page.moved(Spot::default(), steps, shape), at);
        prop_assert_eq!(page.moved(at, -steps, shape), Spot::default());
    }

    #[test]
    fn no_place_and_no_shape_is_out_of_bounds(
        text in any::<String>(),
        line in 0..50_usize,
        row in 0..50_usize,
        by in -60..60_i64,
        width in 0..40_usize,
        height in 0..9_usize,
        wrap in any::<bool>(),
        words in "[a-c\u{e6} ]{0,2}",
    ) {
        let page = page(&text);
        let shape = shape(width, height, wrap);
        let spot = page.clamped(Spot { line, row }, shape);
        let spot = page.moved(spot, by, shape);
        for row in page.shown(spot, shape) {
            let parts = page.parts(&row, Some(&words), None);
            let letters: String = parts.iter().map(|(part, _)| *part).collect();
            prop_assert_eq!(letters.as_str(), &page.line(row.line)[row.range.clone()]);
        }
        for hit in page.find(&words) {
            prop_assert!(page.line(hit.line).is_char_boundary(hit.at));
            let around = page.around(hit, shape);
            prop_assert!(height == 0 || page.shown(around, shape).iter().any(|row| row.line == hit.line));
        }
        let _ = page.seen(spot, shape);
    }
}
