use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{
    walk::{DEEPEST, MOST_PARTS},
    *,
};

/// A message of parts, each with its header and an empty line in it.
fn mixed(parts: &[&str]) -> String {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| format!("--b\r\n{part}\r\n"))
        .collect();
    let head = "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    [head, &parts.concat(), "--b--\r\n"].concat()
}

/// Depth, and what is told of each part.
fn told(mail: &str) -> Vec<String> {
    let parts = Parts::of(mail.as_bytes());
    let all = parts.all().iter();
    all.map(|part| {
        let number = part.number().map(|number| format!("{number}. "));
        let (depth, told) = (part.depth, part.told());
        format!("{depth} {}{told}", number.unwrap_or_default())
    })
    .collect()
}

/// What the only attachment is called, and what is left of that in the name of a file.
fn name_of(header: &str) -> (Option<String>, String) {
    let mail = mixed(&["\r\ntext", &format!("{header}\r\n\r\nx")]);
    let parts = Parts::of(mail.as_bytes());
    let part = parts.attachment(1).unwrap();
    let file = part.file_name(ReceiverId(7));
    let rest = file.strip_prefix("postroom-7-").unwrap();
    (part.name.clone(), rest.to_owned())
}

#[test]
fn every_part_is_told_with_its_name_type_and_size() {
    let mail = mixed(&[
        "Content-Type: multipart/alternative; boundary=\"in ner\"\r\n\r\n--in ner\r\n\r\nhi\r\n--in ner \r\nContent-Type: TEXT/HTML\r\n\r\n<p>hi\r\n--in ner--\r\nafter it",
        "Content-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: BASE64\r\n\r\nSGVs\r\nbG8=",
        "Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?S=C3=B8rlie?=\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nforwarded\r\n--c\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\na,b\r\n--c--",
        "Content-Type: image/png\r\n\r\n",
    ]);
    assert_eq!(
        told(&mail),
        [
            "0 multipart/mixed",
            "1 multipart/alternative",
            "2 text/plain, 2 bytes: the text",
            "2 text/html, 5 bytes: the HTML",
            "1 1. plan.pdf  application/pdf, 5 bytes",
            "1 2. Sørlie  message/rfc822, 163 bytes",
            "2 multipart/mixed",
            "3 3. without a name  text/plain, 9 bytes",
            "3 4. a.csv  text/plain, 3 bytes",
            "1 5. without a name  image/png, 0 bytes",
        ]
    );
}

#[test]
fn whatever_ends_the_lines_the_parts_are_the_same() {
    let mail = mixed(&["\r\none\r\n", "Content-Type: a/b\r\n\r\ntwo"]);
    let with_lf = mail.replace("\r\n", "\n");
    assert_eq!(told(&mail)[2], told(&with_lf)[2]);
    let parts = Parts::of(with_lf.as_bytes());
    assert_eq!(parts.text().unwrap().string(), "one\n");
    assert_eq!(
        parts.head(),
        b"Subject: s\nContent-Type: multipart/mixed; boundary=b"
    );
}

#[test]
fn names_are_decoded_as_rfc_2231_and_rfc_2047_say() {
    for (header, name) in [
        (
            "Content-Disposition: attachment; filename*=utf-8''S%C3%B8knad%20%E2%82%AC.pdf",
            "Søknad €.pdf",
        ),
        (
            "Content-Disposition: attachment;\r\n filename*0*=iso-8859-1'no'S%F8k;\r\n filename*1=\"nad.pdf\"",
            "Søknad.pdf",
        ),
        (
            "Content-Disposition: attachment; filename=\"=?utf-8?b?5ZGK55+lLnBkZg==?=\"",
            "告知.pdf",
        ),
        (
            "Content-Type: application/pdf; name=\"=?iso-8859-1?Q?=E6=F8.pdf?=\"",
            "æø.pdf",
        ),
        (
            "Content-Type: a/b; name=short.txt\r\nContent-Disposition: attachment; filename=\"the longer.txt\"",
            "the longer.txt",
        ),
    ] {
        let (found, file) = name_of(header);
        assert_eq!(found.as_deref(), Some(name), "{header}");
        assert_eq!(file, name);
    }
}

#[test]
fn a_name_from_outside_never_chooses_a_path() {
    for (name, file) in [
        ("../../etc/passwd", "passwd"),
        ("/etc/shadow", "shadow"),
        ("..", "attachment-1.pdf"),
        (".", "attachment-1.pdf"),
        (" .bashrc", "bashrc"),
        ("-rf", "rf"),
        ("~root", "root"),
        ("C:\\\\Windows\\\\evil.exe", "evil.exe"),
        ("a\u{1b}[2Jb\u{202e}fdp.exe", "a_[2Jb_fdp.exe"),
        ("CON:*?<>|", "CON______"),
        ("a/", "attachment-1.pdf"),
        ("plan.pdf. ", "plan.pdf"),
    ] {
        let header = format!("Content-Type: application/pdf; name=\"{name}\"");
        assert_eq!(name_of(&header).1, file, "{name:?}");
    }
    let (_, long) = name_of(&format!(
        "Content-Type: a/b; name=\"{}.pdf\"",
        "ø".repeat(200)
    ));
    assert!(
        long.len() <= LONGEST_NAME && long.ends_with("ø.pdf"),
        "{long}"
    );
    assert_eq!(
        name_of("Content-Type: application/zip").1,
        "attachment-1.bin"
    );
}

#[test]
fn text_is_decoded_from_its_charset() {
    for (header, body, text) in [
        (
            "text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable",
            "f=F8rst",
            "først",
        ),
        (
            "text/plain; charset=windows-1256\r\nContent-Transfer-Encoding: base64",
            "49HNyMc=",
            "مرحبا",
        ),
        (
            "text/plain; charset=shift_jis\r\nContent-Transfer-Encoding: base64",
            "k/qWew==",
            "日本",
        ),
        ("text/plain; charset=utf-8", "שלום", "שלום"),
        ("text/plain; charset=nobody-knows", "plain", "plain"),
    ] {
        let mail = format!("Content-Type: {header}\r\n\r\n{body}");
        let parts = Parts::of(mail.as_bytes());
        assert_eq!(parts.text().unwrap().string(), text, "{header}");
        assert_eq!(parts.attachments().count(), 0);
    }
}

#[test]
fn what_is_read_first_is_no_attachment_and_nothing_else_is_lost() {
    let footer = mixed(&["Content-Type: text/html\r\n\r\n<p>hi", "\r\nsent by a list"]);
    assert_eq!(
        told(&footer)[1..],
        [
            "1 text/html, 5 bytes: the HTML",
            "1 1. without a name  text/plain, 14 bytes"
        ]
    );
    let attached = mixed(&["Content-Disposition: attachment\r\n\r\nlog", "\r\nhi"]);
    assert_eq!(
        told(&attached)[1..],
        [
            "1 1. without a name  text/plain, 3 bytes",
            "1 text/plain, 2 bytes: the text"
        ]
    );
    let forwarded = mixed(&["Content-Type: message/rfc822\r\n\r\nSubject: old\r\n\r\nold"]);
    assert!(Parts::of(forwarded.as_bytes()).text().is_none());
    assert_eq!(
        told("Content-Type: application/pdf\r\n\r\nx"),
        ["0 1. without a name  application/pdf, 1 byte"]
    );
    assert_eq!(
        told("Subject: s\r\n\r\nhi"),
        ["0 text/plain, 2 bytes: the text"]
    );
    assert!(Parts::of(b"no header\r\n").head().is_empty());
    assert!(Parts::of(b"").head().is_empty());
}

#[test]
fn a_digest_holds_messages() {
    let mail = mixed(&["\r\nSubject: one\r\n\r\n1"]).replace("mixed", "digest");
    assert_eq!(
        told(&mail)[1..],
        [
            "1 1. one  message/rfc822, 17 bytes",
            "2 2. without a name  text/plain, 1 byte"
        ]
    );
}

#[test]
fn what_is_malformed_is_said_to_be_and_can_be_saved_as_it_stands() {
    for (header, body, words) in [
        (
            "multipart/mixed",
            "--b\r\n\r\nx",
            "0 1. without a name  multipart/mixed, 8 bytes, without a boundary between its parts",
        ),
        (
            "multipart/mixed; boundary=b",
            "nothing",
            "0 1. without a name  multipart/mixed, 7 bytes, without any of its parts",
        ),
    ] {
        let mail = format!("Content-Type: {header}\r\n\r\n{body}");
        assert_eq!(told(&mail), [words]);
        let parts = Parts::of(mail.as_bytes());
        assert_eq!(&*parts.attachment(1).unwrap().decoded().0, body.as_bytes());
    }
    let broken = mixed(&["Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGV*bG8="]);
    assert!(
        told(&broken)[1].ends_with("base64 that is broken"),
        "{:?}",
        told(&broken)
    );
    let unended = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx";
    assert_eq!(told(unended)[1], "1 text/plain, 1 byte: the text");
    // A header without the empty line below it.
    let bare = "Content-Type: multipart/mixed; boundary=b\r\n--b\r\nno field\r\n--b--";
    assert_eq!(told(bare)[1], "1 text/plain, 8 bytes: the text");
    for blank in [" ", "\t"] {
        let indented = format!("{blank}one\r\ntwo");
        let bare = mixed(&[&indented]);
        let parts = Parts::of(bare.as_bytes());
        assert_eq!(parts.text().unwrap().string(), indented);
    }
}

#[test]
fn however_deep_and_however_many_it_is_read_within_a_moment_and_nothing_is_lost() {
    let nest = |depth: usize, kind: &str| {
        let level = |level| match kind {
            "message" => "Content-Type: message/rfc822\r\n\r\n".to_owned(),
            "same" => "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_owned(),
            // Nothing ever delimits it: whoever looks for the end in each goes through the rest each time.
            "endless" => {
                format!("Content-Type: multipart/mixed; boundary=x{level}\r\n\r\n--b\r\n")
            }
            _ => format!("Content-Type: multipart/mixed; boundary=x{level}\r\n\r\n--x{level}\r\n"),
        };
        let levels: Vec<_> = (0..depth).map(level).collect();
        levels.concat() + "\r\ninnermost"
    };
    let flat = |part: &str, parts: usize| {
        format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
            format!("--b\r\n{part}\r\n").repeat(parts)
        )
    };
    let endless = "Content-Type: multipart/mixed; boundary=nowhere\r\n\r\n";
    let long_field = format!("Content-Type: a/b{}\r\n\r\n", ";a*1=x".repeat(200_000));
    let pieces: Vec<_> = (0..1_000).map(|n| format!(";k{n}*1=x")).collect();
    let in_pieces = format!("Content-Type: a/b{}\r\n\r\n", pieces.concat());
    for (mail, most) in [
        (nest(200, "each"), DEEPEST + 1),
        (nest(200_000, "each"), DEEPEST + 1),
        (nest(200_000, "same"), MOST_PARTS),
        (nest(200_000, "endless"), MOST_PARTS),
        (nest(200_000, "message"), DEEPEST + 1),
        (flat("\r\nx", 10_000), 10_001),
        (flat(endless, 100_000), MOST_PARTS),
        (
            flat("Content-Transfer-Encoding: base64\r\n\r\nSGk=", 100_000),
            MOST_PARTS,
        ),
        (flat(&long_field, 3), 4),
        (flat(&in_pieces, 500), 501),
        ("--".repeat(5_000_000), 1),
        ("\n--\n".repeat(2_000_000), 1),
        // To look through all that are open for each line that could be a delimiter would take a hundred times as long.
        (
            nest(DEEPEST - 1, "each") + &"\r\n--x".repeat(3_000_000),
            DEEPEST,
        ),
        ("a: b\r\n".repeat(1_000_000), 1),
    ] {
        let begun = Instant::now();
        let parts = Parts::of(mail.as_bytes());
        for part in parts.all() {
            let _ = part.told();
        }
        let took = begun.elapsed();
        let begins: String = mail.chars().take(60).collect();
        assert!(took < Duration::from_secs(10), "{begins}: {took:?}");
        assert!(parts.all().len() <= most, "{begins}: {}", parts.all().len());
    }
    let deep = nest(200, "each");
    let parts = Parts::of(deep.as_bytes());
    let last = parts.attachments().last().unwrap();
    assert!(
        last.told().contains("nested too deep to be opened"),
        "{}",
        last.told()
    );
    assert!(last.decoded().0.ends_with(b"innermost"));
    let many = flat("Content-Type: a/b\r\n\r\nx", 30_000);
    let parts = Parts::of(many.as_bytes());
    assert!(parts.is_cut());
    assert!(
        parts
            .attachments()
            .last()
            .unwrap()
            .decoded()
            .0
            .ends_with(b"--b--\r\n")
    );
    assert!(!Parts::of(flat("\r\nx", 10_000).as_bytes()).is_cut());
}

proptest! {
    #[test]
    fn whatever_stands_in_a_message_its_parts_can_be_told(
        lines in prop::collection::vec(prop_oneof![
            Just("--b".to_owned()), Just("--b--".to_owned()), Just("--c".to_owned()), Just(String::new()),
            Just("Content-Type: multipart/mixed; boundary=b".to_owned()),
            Just("Content-Type: multipart/digest; boundary=\"c\"".to_owned()),
            Just("Content-Type: message/rfc822".to_owned()),
            Just("Content-Transfer-Encoding: base64".to_owned()),
            Just("Content-Transfer-Encoding: quoted-printable".to_owned()),
            "Content-(Type|Disposition): [a-z]{0,3}/?[ -~é]{0,40}",
            "[ -~]{0,20}",
        ], 0..40),
        end in prop_oneof![Just("\n"), Just("\r\n")],
    ) {
        let mail = lines.join(end);
        let parts = Parts::of(mail.as_bytes());
        prop_assert_eq!(parts.all()[0].depth, 0);
        for (number, part) in (1..).zip(parts.attachments()) {
            prop_assert_eq!(part.number(), Some(number));
        }
        for two in parts.all().windows(2) {
            prop_assert!(two[1].depth <= two[0].depth + 1);
        }
        for part in parts.all() {
            let _ = (part.told(), part.string());
            let name = part.harmless_name();
            prop_assert!(!name.is_empty() && !name.starts_with(['.', '-', '~']) && !name.contains(['/', '\\']), "{}", name);
            prop_assert!(!name.chars().any(is_dangerous) && name.len() <= LONGEST_NAME, "{}", name);
        }
    }
}
