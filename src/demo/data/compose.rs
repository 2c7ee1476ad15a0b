//! How the words, the people and the numbers become contents.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fastrand::Rng;

use super::{
    Kind, Language,
    people::{Person, Site},
    texts,
};
use crate::message::{Body, Content, Timestamp};

/// What is drawn once per message and the same in all its languages.
pub(super) struct Facts {
    pub(super) from: String,
    pub(super) created_by: String,
    pub(super) url: String,
    course: &'static str,
    assignment: String,
    examiner: String,
    date: Timestamp,
    created_at: Timestamp,
    number: u32,
    amount: u32,
    octet: u8,
    comment: usize,
    /// Put behind the subject: letters that try to act on a terminal, now and then.
    hostile: &'static str,
}

impl Facts {
    pub(super) fn draw(
        rng: &mut Rng,
        kind: Kind,
        site: &'static Site,
        people: &[Person],
        created_at: Timestamp,
    ) -> Self {
        let examiner = site.person(rng.usize(..40));
        let number = rng.u32(100_000..999_999);
        let task = rng.u32(1..=9);
        let (from, created_by, page) = match kind {
            Kind::Invoice => (
                "Example Shop <billing@shop.example>".to_owned(),
                "shop".to_owned(),
                "invoices",
            ),
            Kind::OrderShipped => (
                "Example Shop <orders@shop.example>".to_owned(),
                "shop".to_owned(),
                "orders",
            ),
            Kind::PasswordReset | Kind::SecurityAlert => (
                format!("Accounts <accounts@{}>", site.domain),
                "accounts".to_owned(),
                "account",
            ),
            Kind::Newsletter => (
                format!("{} <news@{}>", site.name, site.domain),
                "editor".to_owned(),
                "news",
            ),
            _ => (
                format!("Devilry <no-reply@{}>", site.domain),
                examiner.user,
                "assignments",
            ),
        };
        let host = match kind {
            Kind::Invoice | Kind::OrderShipped => "shop.example",
            _ => site.domain,
        };
        Self {
            from,
            created_by,
            url: format!("https://{host}/{page}/{number}"),
            course: site.courses[rng.usize(..site.courses.len())],
            assignment: format!("{} {task}", site.assignment),
            examiner: examiner.name,
            date: created_at + chrono::TimeDelta::hours(rng.i64(24..480)),
            created_at,
            number,
            amount: rng.u32(900..90_000),
            octet: rng.u8(1..255),
            comment: rng.usize(..3),
            hostile: match rng.u32(..400) {
                0 if people.len() < 5 => " \u{1b}[5;41mURGENT\u{1b}[0m\u{7}",
                1 if people.len() < 5 => " \u{202e}fdp.exe\u{200b}",
                _ => "",
            },
        }
    }

    /// `template` with its placeholders filled; one that is not known stays.
    fn fill(&self, template: &str, site: &Site, language: Language, name: &str) -> String {
        let mut filled = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some((before, placeholder, after)) = rest
            .split_once('{')
            .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
            .map(|(before, (placeholder, after))| (before, placeholder, after))
        {
            filled.push_str(before);
            match placeholder {
                "name" => filled.push_str(name),
                "site" => filled.push_str(site.name),
                "course" => filled.push_str(self.course),
                "assignment" => filled.push_str(&self.assignment),
                "examiner" => filled.push_str(&self.examiner),
                "url" => filled.push_str(&self.url),
                "comment" => filled.push_str(texts::comments(language)[self.comment]),
                "grade" => filled.push_str(grade(language, self.comment)),
                "number" => drop(write!(filled, "{}", self.number)),
                "octet" => drop(write!(filled, "{}", self.octet)),
                "week" => drop(write!(filled, "{}", self.created_at.format("%-V"))),
                "date" => drop(write!(
                    filled,
                    "{}",
                    self.date.format(date_format(language))
                )),
                "amount" => filled.push_str(&amount(language, self.amount)),
                unknown => drop(write!(filled, "{{{unknown}}}")),
            }
            rest = after;
        }
        filled + rest
    }
}

/// The contents of an ordinary message, in the languages of its receivers.
pub(super) fn parts(
    kind: Kind,
    site: &Site,
    people: &[Person],
    facts: &Facts,
) -> Vec<(String, Content)> {
    // Who is one among several is not called by name.
    let name = match people {
        [one] => &one.name,
        _ => site.name,
    };
    let mut languages: Vec<Language> = Vec::new();
    for person in people {
        if !languages.contains(&person.language) {
            languages.push(person.language);
        }
    }
    languages
        .into_iter()
        .map(|language| {
            let words = texts::of(kind, language);
            let subject = facts.fill(words.subject, site, language, name) + facts.hostile;
            let text = facts.fill(words.text, site, language, name);
            let html = (kind != Kind::CommentDelivery)
                .then(|| html(language, site.name, &subject, &text, &facts.url));
            let body = Body::Parts {
                text: text + "\n",
                html,
            };
            (language.tag().to_owned(), Content { subject, body })
        })
        .collect()
}

/// A whole message as another program built it: a newsletter to many, or an invoice with its PDF.
pub(super) fn raw(kind: Kind, site: &Site, people: &[Person], facts: &Facts) -> (String, Content) {
    let language = site.language;
    let (name, to) = match people {
        [one] => (one.name.as_str(), one.address.clone()),
        _ => (site.name, "undisclosed-recipients:;".to_owned()),
    };
    let words = texts::of(kind, language);
    let subject = facts.fill(words.subject, site, language, name);
    let text = facts.fill(words.text, site, language, name);
    let (from_name, from_address) = facts
        .from
        .split_once(" <")
        .map_or(("", facts.from.as_str()), |(name, rest)| {
            (name, rest.trim_end_matches('>'))
        });
    let mut message = format!(
        "From: {} <{from_address}>\r\nTo: {to}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}.{}@{}>\r\nMIME-Version: 1.0\r\n",
        encoded_words(from_name),
        encoded_words(&subject),
        facts.created_at.to_rfc2822(),
        facts.number,
        facts.created_at.timestamp(),
        site.domain,
    );
    let text = base64_lines(text.as_bytes());
    if kind == Kind::Newsletter {
        message.push_str("List-Id: <news.uni.example>\r\nPrecedence: bulk\r\n");
        message.push_str(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        );
        message.push_str(&text);
    } else {
        let pdf = base64_lines(
            format!("%PDF-1.4\n% invoice {}\n%%EOF\n", facts.number)
                .repeat(20)
                .as_bytes(),
        );
        let number = facts.number;
        let parts = [
            (
                "text/plain; charset=utf-8".to_owned(),
                "inline".to_owned(),
                text,
            ),
            (
                "application/pdf".to_owned(),
                format!("attachment; filename=\"invoice-{number}.pdf\""),
                pdf,
            ),
        ];
        message.push_str("Content-Type: multipart/mixed; boundary=\"=_demo\"\r\n\r\n");
        message.extend(parts.map(|(content_type, disposition, body)| {
            format!(
                "--=_demo\r\nContent-Type: {content_type}\r\nContent-Disposition: {disposition}\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{body}"
            )
        }));
        message.push_str("--=_demo--\r\n");
    }
    let body = Body::Raw(message.into_bytes());
    (language.tag().to_owned(), Content { subject, body })
}

/// RFC 2047, words of up to 75 characters.
fn encoded_words(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let words: Vec<String> = letters
        // Ten characters are at most 40 bytes: 56 in base64.
        .chunks(10)
        .map(|part| {
            format!(
                "=?utf-8?B?{}?=",
                STANDARD.encode(part.iter().collect::<String>())
            )
        })
        .collect();
    words.join("\r\n ")
}

fn base64_lines(bytes: &[u8]) -> String {
    // 57 bytes are 76 characters of base64.
    bytes
        .chunks(57)
        .map(|chunk| STANDARD.encode(chunk) + "\r\n")
        .collect()
}

fn html(language: Language, site: &str, subject: &str, text: &str, url: &str) -> String {
    let direction = if language == Language::Ar {
        "rtl"
    } else {
        "ltr"
    };
    let link = format!("<a class=\"button\" href=\"{url}\">{url}</a>");
    let paragraphs = escaped(text)
        .replace("\n\n", "</p>\n<p>")
        .replace('\n', "<br>\n")
        .replace("</p><br>", "</p>")
        .replace(url, &link);
    let (tag, title, site) = (language.tag(), escaped(subject), escaped(site));
    format!(
        "<!DOCTYPE html>\n<html lang=\"{tag}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:auto}}.button{{font-weight:bold}}.foot{{color:#666}}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n<p>{paragraphs}</p>\n<p class=\"foot\">{site}</p>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const fn date_format(language: Language) -> &'static str {
    match language {
        Language::En => "%-d %B %Y, %H:%M",
        Language::Nb | Language::De | Language::Pl => "%d.%m.%Y %H:%M",
        Language::Fr | Language::Ar => "%d/%m/%Y %H:%M",
        Language::Ja => "%Y年%-m月%-d日 %H:%M",
    }
}

fn amount(language: Language, cents: u32) -> String {
    let (whole, part) = (cents / 100, cents % 100);
    match language {
        Language::En => format!("£{whole}.{part:02}"),
        Language::Nb => format!("kr {whole},{part:02}"),
        Language::De | Language::Fr => format!("{whole},{part:02} €"),
        Language::Pl => format!("{whole},{part:02} zł"),
        Language::Ja => format!("¥{cents}"),
        Language::Ar => format!("{whole}.{part:02} د.إ"),
    }
}

const fn grade(language: Language, comment: usize) -> &'static str {
    let passed = comment < 2;
    match (language, passed) {
        (Language::En, true) => "passed",
        (Language::En, false) => "not passed",
        (Language::Nb, true) => "bestått",
        (Language::Nb, false) => "ikke bestått",
        (Language::De, true) => "bestanden",
        (Language::De, false) => "nicht bestanden",
        (Language::Fr, true) => "validé",
        (Language::Fr, false) => "non validé",
        (Language::Pl, true) => "zaliczone",
        (Language::Pl, false) => "niezaliczone",
        (Language::Ja, true) => "合格",
        (Language::Ja, false) => "不合格",
        (Language::Ar, true) => "ناجح",
        (Language::Ar, false) => "غير ناجح",
    }
}
