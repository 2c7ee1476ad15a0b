//! What the query language promises: the same words mean the same in the console, in `list` and in `resend`.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

use chrono::{
    DateTime, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _, Utc,
};
use postroom::{
    message::{Delivery, Reason, Status, Timestamp},
    query::{Code, Context, Is, Predicate, Query, QueryError, To, When},
};
use proptest::prelude::*;

/// Tuesday 10 November 2026, 15:39 in a zone two hours east of UTC.
fn context() -> Context<FixedOffset> {
    let zone = FixedOffset::east_opt(2 * 60 * 60).unwrap();
    Context {
        now: zone.with_ymd_and_hms(2026, 11, 10, 15, 39, 0).unwrap(),
    }
}

fn parse(text: &str) -> Result<Query, QueryError> {
    Query::parse(text, &context())
}

fn one(text: &str) -> Predicate {
    let mut query = parse(text).unwrap_or_else(|error| panic!("{}", error.render(text)));
    assert_eq!(query.terms.len(), 1, "{text}");
    query.terms.remove(0).predicate
}

fn refused(text: &str) -> String {
    parse(text).expect_err(text).render(text)
}

fn utc(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text)
        .unwrap()
        .with_timezone(&Utc)
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

#[test]
fn every_field_of_the_contract_is_understood() {
    assert_eq!(
        one("status:failed,error"),
        Predicate::Status(vec![Status::Failed, Status::Error])
    );
    assert_eq!(
        one("status:not_sent"),
        Predicate::Status(vec![Status::NotSent])
    );
    assert_eq!(
        one("reason:permanent"),
        Predicate::Reason(vec![Reason::Permanent])
    );
    assert_eq!(one("type:feedback"), Predicate::Type(words(&["feedback"])));
    assert_eq!(one("backend:email"), Predicate::Backend(words(&["email"])));
    assert_eq!(one("lang:nb"), Predicate::Language(words(&["nb"])));
    assert_eq!(one("user:april"), Predicate::User(words(&["april"])));
    assert_eq!(
        one("to:@example.com"),
        Predicate::To(vec![To::Domain("example.com".into())])
    );
    assert_eq!(
        one("to:a@example.com,+4712345678"),
        Predicate::To(vec![
            To::Identity("a@example.com".into()),
            To::Identity("+4712345678".into())
        ])
    );
    assert_eq!(
        one("subject:\"new attempt\""),
        Predicate::Subject(words(&["new attempt"]))
    );
    assert_eq!(
        one("key:order-1842"),
        Predicate::Key(words(&["order-1842"]))
    );
    assert_eq!(one("id:104233,7"), Predicate::Id(vec![104_233, 7]));
    assert_eq!(
        one("code:451,4.7.1"),
        Predicate::Code(vec![Code::Reply(451), Code::Enhanced("4.7.1".into())])
    );
    assert_eq!(one("cause:7,9"), Predicate::Cause(vec![7, 9]));
    assert_eq!(one("failed:>2"), Predicate::Failed(vec![3..i64::MAX]));
    assert_eq!(
        one("failed:2,<=1,<1,>=9"),
        Predicate::Failed(vec![2..3, 0..2, 0..1, 9..i64::MAX])
    );
    assert_eq!(
        one("is:sending,held,scheduled"),
        Predicate::Is(vec![Is::Sending, Is::Held, Is::Scheduled])
    );
    assert_eq!(
        one("delivery:undelivered"),
        Predicate::Delivery(vec![Delivery::Undelivered])
    );
    assert_eq!(one("april"), Predicate::Words(words(&["april"])));
    assert_eq!(
        one("\"an admin\",feedback"),
        Predicate::Words(words(&["an admin", "feedback"]))
    );
}

#[test]
fn words_joined_by_space_are_and_and_a_minus_negates() {
    let query = parse("  status:failed -type:feedback   -april ").unwrap();
    let negated: Vec<_> = query.terms.iter().map(|term| term.negated).collect();
    assert_eq!(negated, [false, true, true]);
    let text = "  status:failed -type:feedback   -april ";
    let spans: Vec<_> = query
        .terms
        .iter()
        .map(|term| &text[term.span.clone()])
        .collect();
    assert_eq!(spans, ["status:failed", "-type:feedback", "-april"]);
    assert_eq!(parse(" \t ").unwrap(), Query::default());
}

#[test]
fn fields_and_their_words_may_be_written_in_any_case() {
    assert_eq!(
        one("Status:FAILED"),
        Predicate::Status(vec![Status::Failed])
    );
    assert_eq!(
        one("status:\"Not sent\",not-sent"),
        Predicate::Status(vec![Status::NotSent; 2])
    );
}

#[test]
fn quotes_keep_spaces_commas_colons_and_minus_signs() {
    assert_eq!(one("\"Re: a, b\""), Predicate::Words(words(&["Re: a, b"])));
    assert_eq!(one("\"-april\""), Predicate::Words(words(&["-april"])));
    assert_eq!(
        one(r#""a \"b\" \\ \c""#),
        Predicate::Words(words(&[r#"a "b" \ \c"#]))
    );
    assert_eq!(
        one("user:\"april, jr\",bob"),
        Predicate::User(words(&["april, jr", "bob"]))
    );
    assert_eq!(one("10:39"), Predicate::Words(words(&["10:39"])));
    assert_eq!(one("key:a:b"), Predicate::Key(words(&["a:b"])));
}

#[test]
fn days_are_local_days() {
    let sent = |text: &str| match one(&format!("sent:{text}")) {
        Predicate::Sent(mut when) => when.remove(0),
        other => panic!("{other:?}"),
    };
    let between = |from: &str, until: &str| {
        let end = |text: &str| (!text.is_empty()).then(|| utc(text));
        When::Between(end(from), end(until))
    };
    assert_eq!(sent("none"), When::Never);
    assert_eq!(sent("yes"), When::Any);
    assert_eq!(
        sent("today"),
        between("2026-11-09T22:00:00Z", "2026-11-10T22:00:00Z")
    );
    assert_eq!(
        sent("month"),
        between("2026-10-31T22:00:00Z", "2026-11-30T22:00:00Z")
    );
    assert_eq!(
        sent("year"),
        between("2025-12-31T22:00:00Z", "2026-12-31T22:00:00Z")
    );
    assert_eq!(
        sent("2026-11-01"),
        between("2026-10-31T22:00:00Z", "2026-11-01T22:00:00Z")
    );
    assert_eq!(
        sent("2026-11"),
        between("2026-10-31T22:00:00Z", "2026-11-30T22:00:00Z")
    );
    assert_eq!(
        sent("2026"),
        between("2025-12-31T22:00:00Z", "2026-12-31T22:00:00Z")
    );
    assert_eq!(sent(">=2026-11-01"), between("2026-10-31T22:00:00Z", ""));
    assert_eq!(sent(">2026-11-01"), between("2026-11-01T22:00:00Z", ""));
    assert_eq!(sent("<2026-11-01"), between("", "2026-10-31T22:00:00Z"));
    assert_eq!(sent("<=2026-11-01"), between("", "2026-11-01T22:00:00Z"));
    assert_eq!(
        sent("2026-11-01..2026-11-03"),
        between("2026-10-31T22:00:00Z", "2026-11-03T22:00:00Z")
    );
    assert_eq!(
        sent(">=2026-11-01T10:00:00+02:00"),
        between("2026-11-01T08:00:00Z", "")
    );
}

#[test]
fn a_duration_is_an_age() {
    let now = "2026-11-10T13:39:00Z";
    let month_ago = utc("2026-10-11T13:39:00Z");
    assert_eq!(
        one("created:<30d"),
        Predicate::Created(vec![When::Between(Some(month_ago), None)])
    );
    assert_eq!(
        one("created:>30d"),
        Predicate::Created(vec![When::Between(None, Some(month_ago))])
    );
    let week_ago = utc(now) - chrono::TimeDelta::days(7);
    assert_eq!(
        one("sent:7d"),
        Predicate::Sent(vec![When::Between(Some(week_ago), None)])
    );
    assert_eq!(
        one("sent:168h,1w"),
        Predicate::Sent(vec![When::Between(Some(week_ago), None); 2])
    );
}

/// A zone whose clocks go from midnight straight to one o'clock on 1 November 2026.
#[derive(Clone, Debug)]
struct Skipping;

impl chrono::TimeZone for Skipping {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }

    fn offset_from_local_date(&self, day: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        self.offset_from_local_datetime(&day.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        let skip = NaiveDate::from_ymd_opt(2026, 11, 1)
            .unwrap()
            .and_time(NaiveTime::MIN);
        match local.signed_duration_since(skip).num_minutes() {
            ..0 => MappedLocalTime::Single(FixedOffset::west_opt(3 * 3600).unwrap()),
            0..60 => MappedLocalTime::None,
            _ => MappedLocalTime::Single(FixedOffset::west_opt(2 * 3600).unwrap()),
        }
    }

    fn offset_from_utc_date(&self, day: &NaiveDate) -> FixedOffset {
        self.offset_from_utc_datetime(&day.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
        let skip = NaiveDate::from_ymd_opt(2026, 11, 1)
            .unwrap()
            .and_hms_opt(3, 0, 0)
            .unwrap();
        FixedOffset::west_opt(if *utc < skip { 3 * 3600 } else { 2 * 3600 }).unwrap()
    }
}

#[test]
fn a_day_whose_midnight_the_clocks_skip_begins_at_its_first_moment() {
    let context = Context {
        now: Skipping.with_ymd_and_hms(2026, 11, 10, 12, 0, 0).unwrap(),
    };
    let query = Query::parse("created:2026-11-01", &context).unwrap();
    let day = When::Between(
        Some(utc("2026-11-01T03:00:00Z")),
        Some(utc("2026-11-02T02:00:00Z")),
    );
    assert_eq!(query.terms[0].predicate, Predicate::Created(vec![day]));
}

#[test]
fn and_or_and_not_in_capitals_are_words_that_are_doubted_unless_they_are_quoted() {
    let doubt = |text: &str| {
        let query = Query::parse(text, &context()).unwrap();
        query.doubt(text).map(|doubt| doubt.render(text))
    };
    assert_eq!(
        doubt("status:failed OR status:error").unwrap(),
        "status:failed OR status:error\n\
         \x20             ^^\n\
         `OR` is searched for as a word: \"or\" is a comma between the values of a field, as in `status:failed,error`; quote it if the word is meant"
    );
    assert!(
        doubt("april AND ben")
            .unwrap()
            .contains("\"and\" is a space alone")
    );
    assert!(doubt("NOT status:sent").unwrap().contains("`-status:sent`"));
    for meant in [
        "april \"AND\" ben",
        "april and ben",
        "april or ben",
        "OR",
        "AND ben",
        "april OR",
        "april -OR ben",
        "april ORder ben",
        "subject:x OR,ben y",
        "subject:AND type:OR backend:NOT",
    ] {
        assert_eq!(doubt(meant), None, "{meant}");
    }
}

#[test]
fn an_error_points_at_the_place_and_says_what_would_be_right() {
    assert_eq!(
        refused("type:x status:faild"),
        "type:x status:faild\n\
         \x20             ^^^^^\n\
         `faild` is no value of `status`; did you mean `failed`? (values are not_sent, failed, error, sent)"
    );
    let error = refused("april statsu:failed");
    assert!(
        error.contains("\n      ^^^^^^\nunknown field `statsu`; did you mean `status`?"),
        "{error}"
    );
    assert!(refused("language:nb").contains("did you mean `lang`?"));
    assert!(refused("status:error,permanent").contains("did you mean `reason:permanent`?"));
    assert!(refused("is:sent").contains("did you mean `status:sent`?"));
    assert!(refused("status:held").contains("did you mean `is:held`?"));
    assert!(refused("cause:greylisted").contains("`postroom causes`"));
    assert!(refused("status:").contains("as in `status:failed,error`"));
    assert!(refused("status:failed,").contains("a value is missing"));
    assert!(refused("id:abc").contains("whole number"));
    assert!(refused("id:99999999999999999999").contains("whole number"));
    assert!(refused("code:4.7").contains("4.7.1"));
    assert!(refused("failed:many").contains(">2"));
    assert!(refused("sent:yesterdy").contains("write today"));
    let yesterday = refused("sent:yesterday");
    assert!(yesterday.contains("that day was 20") && !yesterday.contains("did you mean"));
    assert!(refused("sent:tody").contains("did you mean `today`?"));
    assert!(refused("created:yes").contains("every receiver has this time"));
    assert!(refused("address:x").contains("did you mean `to`?"));
    assert!(refused("created:none").contains("every receiver has this time"));
    assert!(refused("created:2026-02-30").contains("is no time"));
    assert!(refused("created:2026-11-05..2026-11-01").contains("ends before it begins"));
    assert!(refused("to:@").contains("a domain is missing"));
    assert!(refused("subject:\"new attempt").contains("never closed"));
    assert!(refused("\"a\"b").contains("after a closing quote"));
    assert!(refused("a -").contains("in front of what must not hold"));
    assert!(refused("a,").contains("a comma stands between"));
    assert!(refused("user:\"\"").contains("nothing stands between the quotes"));
}

#[test]
fn every_time_that_is_understood_can_be_written_out_and_read_again() {
    for query in [
        "sent:>=1066-10-14",
        "created:1851",
        "created:<400y",
        "created:>999y",
        "sent:9998",
        "created:<=9998-12-31",
        "sent:2016-12-31T23:59:60Z",
    ] {
        let known = parse(query).unwrap();
        let written = known.to_string();
        let again = parse(&written).unwrap_or_else(|error| panic!("{query}: {written}: {error}"));
        assert_eq!(meaning(&again), meaning(&known), "{query}");
    }
    assert!(refused("sent:9999-12-31T23:59:59.999999999Z").contains("is no time"));
}

#[test]
fn the_caret_stands_under_the_place_even_after_wide_letters_and_tabs() {
    let text = "subject:日本\tstatus:x";
    let error = refused(text);
    let mut lines = error.lines();
    assert_eq!(lines.next(), Some("subject:日本 status:x"));
    assert_eq!(lines.next(), Some("                    ^"));
}

#[test]
fn an_error_about_a_hostile_query_cannot_steer_the_terminal() {
    let error = refused("status:\u{1b}[31m\u{202e}x\u{7}");
    assert!(
        !error.contains(['\u{1b}', '\u{202e}', '\u{7}']),
        "{error:?}"
    );
}

fn meaning(query: &Query) -> Vec<(bool, Predicate)> {
    query
        .terms
        .iter()
        .map(|term| (term.negated, term.predicate.clone()))
        .collect()
}

/// Text that is often a query.
fn likely() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "status:",
        "reason:",
        "type:",
        "backend:",
        "lang:",
        "user:",
        "to:",
        "subject:",
        "key:",
        "id:",
        "code:",
        "failed:",
        "sent:",
        "created:",
        "is:",
        "delivery:",
        "cause:",
        "failed",
        "error",
        "not_sent",
        "permanent",
        "held",
        "sending",
        "pending",
        "today",
        "7d",
        "month",
        "year",
        "none",
        "yes",
        ">",
        "<",
        ">=",
        "<=",
        "=",
        "..",
        "2026-11-01",
        "2026-11",
        "2026",
        "2026-11-01T10:00:00.123Z",
        "9999999d",
        "400y",
        "9998",
        "0001-01",
        "30d",
        "451",
        "4.7.1",
        "104233",
        "9223372036854775807",
        "@",
        "example.com",
        "april",
        "日本",
        "\"",
        "\\",
        ",",
        "-",
        " ",
        " ",
        ":",
        "\u{1b}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_the_parser_and_every_place_lies_inside_the_text(text in prop_oneof![likely(), any::<String>()]) {
        match parse(&text) {
            Ok(query) => for term in query.terms {
                prop_assert!(text.get(term.span.clone()).is_some_and(|word| !word.is_empty()));
            },
            Err(error) => {
                prop_assert!(text.get(error.span.clone()).is_some(), "{:?}", error);
                prop_assert!(error.render(&text).lines().count() == 3);
            }
        }
    }

    #[test]
    fn whatever_stands_between_quotes_is_kept(
        field in prop::sample::select(vec!["", "type:", "backend:", "lang:", "user:", "to:", "subject:", "key:"]),
        value in ".+", negated: bool,
    ) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("{}{field}\"{escaped}\"", if negated { "-" } else { "" });
        if value == "@" && field == "to:" { return Ok(()); }
        let query = parse(&text).map_err(|error| TestCaseError::fail(error.render(&text)))?;
        prop_assert_eq!(query.terms.len(), 1);
        let again = parse(&query.to_string());
        prop_assert_eq!(meaning(&again.unwrap()), meaning(&query), "{}", text);
        let kept = match &query.terms[0].predicate {
            Predicate::To(to) => match &to[0] {
                To::Identity(identity) => identity.clone(),
                To::Domain(domain) => format!("@{domain}"),
            },
            Predicate::Type(all) | Predicate::Backend(all) | Predicate::Language(all) | Predicate::User(all)
            | Predicate::Subject(all) | Predicate::Key(all) | Predicate::Words(all) => all[0].clone(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(kept, value);
        prop_assert_eq!(query.terms[0].negated, negated);
    }

    #[test]
    fn a_query_written_out_reads_as_the_same_query(text in likely()) {
        if let Ok(query) = parse(&text) {
            let written = query.to_string();
            let again = parse(&written);
            prop_assert!(again.is_ok(), "{written}: {again:?}");
            prop_assert_eq!(meaning(&again.unwrap()), meaning(&query), "{}", written);
        }
    }
}
