//! What makes two failures the same fault. A server's words differ from one receiver to the next by what they name: addresses, ids, times,
//! counters. These become placeholders; every other word stays, since one word may be all that tells two faults apart.

mod text;
mod word;

use sha2::{Digest as _, Sha256};

use super::Failure;

/// What failed tries have in common that met the same fault, whoever was to get the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The server's reply code.
    pub code: Option<u16>,
    /// The enhanced status code (RFC 3463).
    pub enhanced: Option<String>,
    /// What went wrong, in one line, with a placeholder for whatever differs from try to try: `451 4.7.1 greylisted, try again in N seconds`.
    pub text: String,
    /// The server, as `host:port`.
    pub server: Option<String>,
    /// What was being done: see [`Failure::phase`].
    pub phase: Option<String>,
}

impl Cause {
    /// The cause of a try for this identity that failed.
    pub fn of(failure: &Failure, identity: &str) -> Self {
        Self {
            code: failure.code,
            enhanced: failure.enhanced.clone(),
            text: text::generalise(&failure.error, identity, failure.server.as_deref()),
            server: failure.server.clone(),
            phase: failure.phase.clone(),
        }
    }

    /// The same for the same fault and for no other; case does not matter.
    pub fn fingerprint(&self) -> [u8; 32] {
        let code = self.code.map(|code| code.to_string());
        let parts = [
            code.as_deref(),
            self.enhanced.as_deref(),
            Some(self.text.as_str()),
            self.server.as_deref(),
            self.phase.as_deref(),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            // What is missing differs from what is empty, and no part can reach into the next.
            hash.update([u8::from(part.is_some())]);
            let part = part.unwrap_or_default().to_lowercase();
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        text::{LONGEST, SERVERS_OWN},
        *,
    };

    fn failure(text: &str) -> Failure {
        Failure {
            code: Some(451),
            error: text.to_owned(),
            server: Some("mx.example:25".to_owned()),
            phase: Some("rcpt".to_owned()),
            ..Failure::default()
        }
    }

    fn text(said: &str) -> String {
        Cause::of(&failure(said), "april@example.com").text
    }

    #[test]
    fn what_differs_from_try_to_try_becomes_a_placeholder_and_the_rest_stays_readable() {
        for (said, told) in [
            (
                "451 4.7.1 greylisted, try again in 300 seconds",
                "451 4.7.1 greylisted, try again in N seconds",
            ),
            (
                "451 4.7.1  Greylisted:\r\n wait 45s, then retry",
                "451 4.7.1 Greylisted: wait Ns, then retry",
            ),
            (
                "550 5.1.1 <april@example.com>: Recipient address rejected",
                "550 5.1.1 <ADDRESS>: Recipient address rejected",
            ),
            (
                "550 5.1.1 bounce+ben=x@list.example unknown",
                "550 5.1.1 bounce+ben=ADDRESS unknown",
            ),
            ("550 No such user (april)", "550 No such user (USER)"),
            (
                "452 4.2.2 April's mailbox is 104% full",
                "452 4.2.2 USER's mailbox is N% full",
            ),
            (
                "450 4.1.2 example.com: Domain not found",
                "450 4.1.2 DOMAIN: Domain not found",
            ),
            (
                "554 5.7.1 [192.0.2.7] and 2001:db8::1 are listed, 192.0.2.7:4711",
                "554 5.7.1 [IP] and IP are listed, IP",
            ),
            (
                "451 4.3.0 queue 3F2A1B2C4D: no space",
                "451 4.3.0 queue ID: no space",
            ),
            (
                "451 id 1tDabc-0001Ab-3Q, again 4XyZ9K1l2Pz3Q",
                "451 id ID, again ID",
            ),
            (
                "550 5.1.1 see https://support.google.com/mail/?p=NoSuchUser d9-20020a056402344900b00660a1b2c3d4si123456edb.50 - gsmtp",
                "550 5.1.1 see https://support.google.com/mail/?p=NoSuchUser ID - gsmtp",
            ),
            (
                "451 4.7.500 Server busy. (S77719) [AM7EUR06FT048.eop-eur06.prod.protection.outlook.com 2026-11-22T05:59:00.123Z 08DE1234ABCD5678]",
                "451 4.7.500 Server busy. (S77719) [ID.eop-eurN.prod.protection.outlook.com TIME ID]",
            ),
            (
                "421 4.7.0 [TSS04] deferred at Sun, 22 Nov 2026 05:59:00 +0000 (UTC) by mta1234.mail.example",
                "421 4.7.0 [TSS04] deferred at TIME) by mtaN.mail.example",
            ),
            (
                "452 since 22/11/2026 05:59, not 22.11.2026",
                "452 since TIME, not TIME",
            ),
            (
                "552 message of 10485761 bytes, at most 1000 KB",
                "552 message of N bytes, at most N KB",
            ),
            (
                "No such file or directory (os error 2): outbox/0a1b2c3d4e5f60718293a4b5.eml",
                "No such file or directory (os error 2): outbox/ID.eml",
            ),
            ("a hash 3q2+7w/aB3dE9xYz1/Zz9Yy8Xx7Ww=", "a hash 3q2+7w/ID="),
            ("", ""),
            ("...", "..."),
        ] {
            assert_eq!(text(said), told, "{said}");
        }
    }

    #[test]
    fn two_faults_are_never_one() {
        let said = [
            "550 5.7.1 blocked (S3140)",
            "550 5.7.1 blocked (S3150)",
            "421 4.7.0 [TSS04] deferred",
            "421 4.7.0 [TS03] deferred",
            "452 4.2.2 mailbox full",
            "452 4.2.2 mailbox unavailable",
            "451 relay said 450 4.2.0",
            "451 relay said 451 4.2.0",
            "451 relay said 451 4.2.1",
            "I/O failed (os error 2)",
            "I/O failed (os error 13)",
            "refused (code: 1042)",
            "refused (code: 1043)",
            "see https://support.example/?p=NoSuchUser",
            "see https://support.example/?p=OverQuota",
            "TLSv1.2 is too old",
            "TLSv1.1 is too old",
            "",
        ];
        let of = |text: &&str| Cause::of(&failure(text), "april@example.com").fingerprint();
        let seen: std::collections::HashSet<_> = said.iter().map(of).collect();
        assert_eq!(seen.len(), said.len());
    }

    #[test]
    fn another_server_phase_or_code_is_another_cause_and_case_is_not() {
        let first = failure("451 busy");
        let of = |failure: Failure| Cause::of(&failure, "a@example.com").fingerprint();
        let others = [
            Failure {
                code: None,
                ..first.clone()
            },
            Failure {
                enhanced: Some(String::new()),
                ..first.clone()
            },
            Failure {
                enhanced: Some("4.7.1".to_owned()),
                ..first.clone()
            },
            Failure {
                server: Some("mx2.example:25".to_owned()),
                ..first.clone()
            },
            Failure {
                server: None,
                ..first.clone()
            },
            Failure {
                phase: Some("dot".to_owned()),
                ..first.clone()
            },
        ];
        for other in others {
            assert_ne!(of(other.clone()), of(first.clone()), "{other:?}");
        }
        let shouted = Failure {
            error: "451  BUSY".to_owned(),
            ..first.clone()
        };
        assert_eq!(of(shouted), of(first));
    }

    /// Ways to refuse somebody; what stands in braces is theirs.
    const TEMPLATES: [&str; 10] = [
        "550 5.1.1 <{to}>: user unknown; mailbox {local} not found on {domain}",
        "451 4.7.1 greylisted, try again in {n} seconds ({id})",
        "452 4.2.2 \"{local}\" is over quota: {n} bytes since {time}",
        "554 5.7.1 client {ip} is blocked for {domain}, request {id}",
        "450 {to} deferred until {time}",
        "No such user here: {local}",
        "421 4.3.2 try https://example.net/why?to={to}&id={id}",
        "452 disk {n}% full, message {id}.eml",
        "the server for {domain} said: 550 no such user",
        "451 {id}/{id} queued by mta{n}.farm.example at {time}",
    ];

    fn fill(template: &str, to: (&str, &str), n: u32, id: u64, hour: u32) -> String {
        template
            .replace("{to}", &format!("{}@{}", to.0, to.1))
            .replace("{local}", to.0)
            .replace("{domain}", to.1)
            .replace("{n}", &n.to_string())
            .replace("{id}", &format!("{id:016X}"))
            .replace("{ip}", &format!("192.0.2.{}", hour + 1))
            .replace(
                "{time}",
                &format!("2026-11-{:02} {hour:02}:05:59", hour + 1),
            )
    }

    fn people() -> impl Strategy<Value = (&'static str, &'static str)> {
        (
            prop::sample::select(vec![
                "april", "ben", "o'brien", "zoe.x", "a+tag", "4712", "user", "mailbox", "x_1", "Å",
            ]),
            prop::sample::select(vec!["example.com", "mail.example.org", "Uni.example"]),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_same_fault_has_the_same_fingerprint_whoever_meets_it(
            template in prop::sample::select(TEMPLATES.to_vec()),
            (a, b) in (people(), people()), n in (10_u32..9_999, 10_u32..9_999), id in any::<(u64, u64)>(), hour in (0_u32..24, 0_u32..24),
        ) {
            let cause = |to: (&str, &str), n, id, hour| {
                Cause::of(&failure(&fill(template, to, n, id, hour)), &format!("{}@{}", to.0, to.1))
            };
            // An id has a letter; one of digits alone is a number.
            let lettered = |id: u64| id | 0xA000_0000_0000_0000;
            let (one, two) = (cause(a, n.0, lettered(id.0), hour.0), cause(b, n.1, lettered(id.1), hour.1));
            // A bare name that servers use themselves, or that no word holds, cannot be told from the rest.
            let plain = |local: &str| !SERVERS_OWN.split(' ').any(|word| word == local) && !local.contains('\'');
            if !template.contains("{local}") || (plain(a.0) && plain(b.0)) {
                prop_assert_eq!(one.fingerprint(), two.fingerprint(), "{:?} {:?}", one, two);
            }
        }

        #[test]
        fn different_codes_never_share_a_fingerprint(
            said in any::<String>(), a in prop::option::of(200_u16..600), b in prop::option::of(200_u16..600),
            x in prop::option::of("[245]\\.[0-9]{1,3}\\.[0-9]{1,3}"), y in prop::option::of("[245]\\.[0-9]{1,3}\\.[0-9]{1,3}"),
        ) {
            let of = |code, enhanced: &Option<String>| {
                let failure = Failure { code, enhanced: enhanced.clone(), ..failure(&said) };
                Cause::of(&failure, "april@example.com").fingerprint()
            };
            prop_assert_eq!(of(a, &x) == of(b, &y), (a, &x) == (b, &y));
        }

        #[test]
        fn any_text_for_any_identity_is_read_within_bounds(said in any::<String>(), identity in any::<String>()) {
            let cause = Cause::of(&failure(&said), &identity);
            prop_assert!(cause.text.chars().count() <= LONGEST + 1);
            prop_assert_eq!(cause.text.split_whitespace().collect::<Vec<_>>().join(" "), cause.text);
        }
    }
}
