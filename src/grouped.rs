//! Numbers that people can read.

/// `1204331` as `1,204,331`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 receiver`, `4,120 receivers`.
pub fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let told = [0, 999, 1_000, 1_204_331].map(grouped);
        assert_eq!(told, ["0", "999", "1,000", "1,204,331"]);
        let told = [0, 1, 4120].map(|number| counted(number, "receiver"));
        assert_eq!(told, ["0 receivers", "1 receiver", "4,120 receivers"]);
    }
}
