//! What a receiver of mail does with a signature (RFC 6376 6.1, RFC 8463), written for itself: it shares nothing with what signs.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{SignatureScheme, crypto::ring};
use sha2::{Digest as _, Sha256};

/// A signature that holds: its tags.
pub type Tags = HashMap<String, String>;

/// Checks the signature by this selector with the `p=` of its record in DNS.
pub fn verify(message: &[u8], selector: &str, public_key: &str) -> Result<Tags, String> {
    // Byte for byte, whatever the bytes are.
    let message: String = message.iter().map(|&byte| char::from(byte)).collect();
    let (head, body) = message.split_once("\r\n\r\n").unwrap_or((&message, ""));
    let fields = fields(head);
    let (signature, tags) = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("dkim-signature"))
        .map(|(_, value)| (value, tags(value)))
        .find(|(_, tags)| tags["s"] == selector)
        .ok_or("there is no such signature")?;
    assert_eq!(
        (tags["v"].as_str(), tags["c"].as_str()),
        ("1", "relaxed/relaxed")
    );

    if STANDARD.encode(Sha256::digest(bytes(&relaxed_body(body)))) != tags["bh"] {
        return Err("the body is another".to_owned());
    }
    let mut left = fields.clone();
    let mut data = String::new();
    for name in tags["h"].split(':') {
        // The last of its name that was not used yet; nothing, if there is none.
        if let Some(at) = left
            .iter()
            .rposition(|(found, _)| found.eq_ignore_ascii_case(name))
        {
            data += &relaxed_field(&left.remove(at));
            data += "\r\n";
        }
    }
    let unsigned: Vec<&str> = signature
        .split(';')
        .map(|tag| match tag.split_once('=') {
            Some((name, _)) if name.trim() == "b" => &tag[..=name.len()],
            _ => tag,
        })
        .collect();
    data += &relaxed_field(&("DKIM-Signature".to_owned(), unsigned.join(";")));

    let mut data = bytes(&data);
    let key = STANDARD.decode(public_key).unwrap();
    let (scheme, key) = match tags["a"].as_str() {
        "rsa-sha256" => (SignatureScheme::RSA_PKCS1_SHA256, rsa_key(&key)),
        "ed25519-sha256" => {
            data = Sha256::digest(&data).to_vec();
            (SignatureScheme::ED25519, &key[..])
        }
        other => return Err(format!("unknown algorithm {other}")),
    };
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let (_, algorithm) = algorithms
        .mapping
        .iter()
        .find(|(found, _)| *found == scheme)
        .unwrap();
    algorithm[0]
        .verify_signature(key, &data, &STANDARD.decode(&tags["b"]).unwrap())
        .map_err(|_| "the signature is wrong".to_owned())?;
    Ok(tags)
}

/// Names and values as they stand, unfolded.
fn fields(head: &str) -> Vec<(String, String)> {
    head.replace("\r\n ", " ")
        .replace("\r\n\t", "\t")
        .split("\r\n")
        .map(|field| field.split_once(':').unwrap())
        .map(|(name, value)| (name.trim_end().to_owned(), value.to_owned()))
        .collect()
}

fn tags(value: &str) -> Tags {
    value
        .split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(name, value)| {
            let value = value.chars().filter(|c| !c.is_ascii_whitespace());
            (name.trim().to_owned(), value.collect())
        })
        .collect()
}

fn relaxed_field((name, value): &(String, String)) -> String {
    let name = name.to_ascii_lowercase();
    format!("{name}:{}", single_spaces(value).trim_matches(' '))
}

fn relaxed_body(body: &str) -> String {
    let mut lines: Vec<String> = body
        .split("\r\n")
        .map(|line| single_spaces(line).trim_end_matches(' ').to_owned())
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.iter().map(|line| line.clone() + "\r\n").collect()
}

fn single_spaces(text: &str) -> String {
    let mut single = String::new();
    for c in text.replace('\t', " ").chars() {
        if c != ' ' || !single.ends_with(' ') {
            single.push(c);
        }
    }
    single
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

/// The key within a SubjectPublicKeyInfo: what the BIT STRING behind the algorithm holds.
fn rsa_key(info: &[u8]) -> &[u8] {
    let (_, inside, _) = element(info);
    let (_, _, behind_the_algorithm) = element(inside);
    let (tag, bits, _) = element(behind_the_algorithm);
    assert_eq!((tag, bits[0]), (3, 0));
    &bits[1..]
}

/// Tag, content and rest of a DER element.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, begin) = if der[1] < 0x80 {
        (usize::from(der[1]), 2)
    } else {
        let count = usize::from(der[1] & 0x7f);
        let digits = &der[2..2 + count];
        let length = digits.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
        (length, 2 + count)
    };
    (der[0], &der[begin..begin + length], &der[begin + length..])
}
