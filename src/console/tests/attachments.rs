//! What is attached to a whole message, in the content of the detail.

use super::{export::saves, *};
use crate::message::{Body, Content};

/// A mail with text, two files and a mail that has a third.
const MAIL: &str = "Subject: Plan\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\n\r\nHello.\r\n\
    --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../.plan.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0A\r\nCg==\r\n\
    --b\r\nContent-Type: image/png; name=\"=?utf-8?b?5ZGK55+lLnBuZw==?=\"\r\nContent-Transfer-Encoding: base64\r\n\r\nSGV*\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: the old one\r\nContent-Type: text/csv; name=\"marks\u{202e}vsc.exe\"\r\n\r\na,b\r\n\
    --b--\r\n";

fn holding(mail: &str) -> Memory {
    let mut memory = Memory::of(100);
    let content = Content {
        subject: "Plan".to_owned(),
        body: Body::Raw(mail.as_bytes().to_vec()),
    };
    memory.contents.insert(96, content);
    memory
}

#[test]
fn a_message_with_attachments() {
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut console = Console::sized(holding(MAIL), width, height);
        console.press("3 enter 3 V");
        insta::assert_snapshot!(format!("attachments {width}x{height}"), console.screen());
    }
}

#[test]
fn an_attachment_is_chosen_by_its_number_and_saved_under_a_name_that_leads_nowhere_else() {
    let mut console = Console::open(holding(MAIL));
    console.press("3 enter 3 S");
    assert!(
        console.footer().contains("which attachment, 1 to 4: 1"),
        "{}",
        console.footer()
    );
    console.press("enter");
    assert!(
        console.footer().contains("save as: postroom-96-plan.pdf"),
        "{}",
        console.footer()
    );
    console.press("enter");
    let save = saves(&console)[0].clone();
    assert_eq!(save.path, "postroom-96-plan.pdf");
    assert_eq!(*save.bytes, b"%PDF-\0\n");
    assert!(!save.overwrite);
    console.event(Event::Saved(save, Ok(())));
    assert!(
        console
            .footer()
            .contains("saved 7 bytes in postroom-96-plan.pdf"),
        "{}",
        console.footer()
    );
    for (number, name, bytes) in [
        ("2", "postroom-96-告知.png", &b"He"[..]),
        (
            "3",
            "postroom-96-attachment-3.eml",
            b"Subject: the old one\r\n",
        ),
        ("4", "postroom-96-marks_vsc.exe", b"a,b"),
    ] {
        console.press("S").type_in(number).press("enter enter");
        let save = saves(&console).pop().unwrap();
        assert_eq!(save.path, name);
        assert!(save.bytes.starts_with(bytes), "{:?}", save.bytes);
    }
    console
        .press("S")
        .type_in("4")
        .press("enter")
        .type_in("~/marks.csv")
        .press("enter");
    assert_eq!(saves(&console).pop().unwrap().path, "~/marks.csv");
}

#[test]
fn where_only_one_is_attached_nobody_asks_which() {
    let mail = "Content-Type: application/pdf; name=plan.pdf\r\n\r\nx";
    let mut console = Console::open(holding(mail));
    console.press("3 enter 3 S");
    assert!(
        console.footer().contains("save as: postroom-96-plan.pdf"),
        "{}",
        console.footer()
    );
    console.press("esc");
    assert!(saves(&console).is_empty());
}

#[test]
fn a_number_that_is_none_and_an_empty_name_save_nothing() {
    let mut console = Console::open(holding(MAIL));
    console.press("3 enter 3");
    for number in ["0", "5", "x", "-1", "99999999999999999999"] {
        console.press("S").type_in(number).press("enter");
        assert!(
            console.footer().contains("its attachments are 1 to 4"),
            "{number}: {}",
            console.footer()
        );
    }
    console.press("S enter backspace enter");
    assert!(console.footer().contains("needs a name"));
    assert!(saves(&console).is_empty());
}

#[test]
fn where_nothing_is_attached_the_key_says_so_and_the_footer_does_not_name_it() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter S");
    assert!(
        console
            .footer()
            .contains("3 shows what may have something attached"),
        "{}",
        console.footer()
    );
    console.press("3 S");
    assert!(console.footer().contains("nothing is attached"));
    let mut console = Console::sized(holding(MAIL), 200, 60);
    console.press("3 enter 3");
    assert!(
        console.footer().contains("S attachment"),
        "{}",
        console.footer()
    );
}

#[test]
fn an_attachment_of_one_receiver_is_never_saved_as_that_of_another() {
    let mut memory = holding(MAIL);
    let other = memory.contents[&96].clone();
    memory.contents.insert(92, other);
    let mut console = Console::open(memory);
    console.press("3 enter 3 S");
    console.store.remove(96);
    console.tick();
    console.press("enter enter");
    // What was read stays in sight, but it can no longer be had.
    assert!(saves(&console).is_empty());
    assert!(
        console.footer().contains("not saved"),
        "{}",
        console.footer()
    );
}

#[test]
fn html_is_read_as_text_where_there_is_no_other() {
    let mut console = Console::open(holding(
        "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<table><tr><td>bl=E5</td><td>b=E6r</td></tr></table>",
    ));
    console.press("3 enter 3");
    assert!(console.screen().contains("blå│bær"), "{}", console.screen());
    let mut console = Console::open(holding("Content-Type: image/png\r\n\r\nx"));
    console.press("3 enter 3");
    assert!(
        console
            .screen()
            .contains("There is no text in this message."),
        "{}",
        console.screen()
    );
}
