//! Every mix of recipients that are taken, refused for now and refused for good.

use postroom::{
    demo::server::{Action, Extension, Phase, Script, Server},
    message::Outcome,
};

use super::{known, nobody_is_lost, told};
use crate::support::{Setup, Summary, raw_message};

/// The recipients of every mix of up to four: `ok`, `4xx` or `5xx`, each an address of its own.
fn mixes() -> Vec<Vec<String>> {
    let mut mixes = Vec::new();
    for recipients in 1..=4 {
        for number in 0..3_usize.pow(recipients) {
            let mix = (0..recipients).map(|place| {
                let word = ["ok", "4xx", "5xx"][number / 3_usize.pow(place) % 3];
                format!("{word}.{place}.of.{recipients}-{number}@example.com")
            });
            mixes.push(mix.collect());
        }
    }
    mixes
}

fn answer(recipient: &str, seen: u64) -> Option<Action> {
    match &recipient[..3] {
        "4xx" if seen == 1 => Some(Action::reply(451, "4.7.1", "greylisted")),
        "5xx" => Some(Action::reply(550, "5.1.1", "no such user")),
        _ => None,
    }
}

fn each_recipient_of_every_mix(pipelining: bool) {
    let mut script = Script::accept_all().by(|event| {
        let recipient = event.recipient.filter(|_| event.phase == Phase::Rcpt)?;
        answer(recipient, event.seen)
    });
    if !pipelining {
        script = script.without(Extension::Pipelining);
    }
    let server = Server::start(script).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("delivery.backoff", "0s")
        .build();
    let mixes = mixes();
    assert_eq!(mixes.len(), 3 + 9 + 27 + 81);
    let letters: Vec<_> = mixes
        .iter()
        .zip(0..)
        .map(|(mix, number): (_, usize)| {
            let to: Vec<&str> = mix.iter().map(String::as_str).collect();
            raw_message(&format!("mix-{number}"), &to)
        })
        .collect();
    postroom.submit(&letters);
    postroom.deliver();
    for detail in &known(&postroom)["email"] {
        let identity = detail.row.identity.raw();
        let wanted = match &identity[..3] {
            "4xx" => "failed/temporary 1 temporary/451",
            "5xx" => "error/permanent 1 permanent/550",
            _ => "sent/accepted 0 accepted/250",
        };
        assert_eq!(told(detail), wanted, "{identity}");
        let accepted = detail.attempts[0].outcome == Some(Outcome::Accepted);
        assert_eq!(detail.row.sent_count, u32::from(accepted));
    }
    server.with_ledger(|ledger| {
        let with_anybody = |mix: &&Vec<String>| mix.iter().any(|to| to.starts_with("ok"));
        let messages = mixes.iter().filter(with_anybody).count();
        // Receivers are claimed two hundred at a time: two of the messages are cut in two.
        let transactions = messages as u64..=messages as u64 + 2;
        assert!(
            transactions.contains(&ledger.messages),
            "{}",
            ledger.messages
        );
    });
    assert_eq!(postroom.deliver().error, 0);
    assert_eq!(postroom.deliver(), Summary::default());
    nobody_is_lost("mixes", &known(&postroom)["email"], &server);
}

#[test]
fn in_every_mix_of_up_to_four_recipients_each_has_the_result_that_was_said_of_it() {
    each_recipient_of_every_mix(true);
}

#[test]
fn without_pipelining_too_each_has_the_result_that_was_said_of_it() {
    each_recipient_of_every_mix(false);
}
