//! Who the demo's messages go to: people with plausible names, accounts and addresses, at seven made-up universities.

use serde_json::{Value, json};

use super::{Fate, Language};

/// A university: one installation of the application that sends, with a language of its own.
pub(super) struct Site {
    pub(super) language: Language,
    pub(super) name: &'static str,
    /// The domain of its web pages and of most of its people.
    pub(super) domain: &'static str,
    pub(super) courses: [&'static str; 5],
    pub(super) assignment: &'static str,
    /// Of a hundred messages, how many come from here.
    pub(super) weight: u32,
    /// (as written, in ASCII)
    first: [(&'static str, &'static str); 16],
    last: [(&'static str, &'static str); 16],
}

/// One person at a site.
pub(super) struct Person {
    pub(super) user: String,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) language: Language,
    pub(super) metadata: Value,
}

/// Names and accounts that try to act on a terminal or to deceive a reader. All of them may be handed over: there is no CR, LF or NUL.
const HOSTILE: [(&str, &str); 6] = [
    ("mallory\u{1b}[31m", "Mallory \u{1b}]0;owned\u{7} Red"),
    (
        "nimda\u{202e}gnp.exe",
        "Bidi \u{202e}ecilA\u{202c} Override",
    ),
    ("bell\u{7}ringer", "Ring \u{7}\u{7}\u{7}"),
    ("clear\u{1b}[2J\u{1b}[H", "Csi \u{9b}2J Eight-Bit"),
    (
        "zero\u{200b}width\u{feff}",
        "Tag \u{e0041}\u{e0042} Zero\u{200d}Width",
    ),
    ("tab\tstop", "Line\u{2028}Separator Paragraph\u{2029}"),
];

impl Site {
    /// Somebody here with this fate, with a number from `start` on.
    pub(super) fn person_with(&self, fate: Fate, start: usize) -> Person {
        // The rarest fate has four in a thousand.
        (start..start + 5000)
            .map(|number| self.person(number))
            .find(|person| Fate::of_address(&person.address) == fate)
            .unwrap_or_else(|| self.person(start).moved_to(fate))
    }

    /// The `number`-th person here; the same number is always the same person.
    pub(super) fn person(&self, number: usize) -> Person {
        // A fixed shuffle, so that neighbours do not share a name.
        let pair = number.wrapping_mul(167) % 256;
        let round = number / 256;
        let (first, first_ascii) = self.first[pair / 16];
        let (last, last_ascii) = self.last[pair % 16];
        let chance = scattered(number, self.domain);
        let mut user = match chance % 5 {
            0 | 1 if round == 0 => format!("{first_ascii}.{last_ascii}"),
            0 | 1 => format!("{first_ascii}.{last_ascii}{}", round + 1),
            2 | 3 => format!("{}{last_ascii}{number}", &first_ascii[..1]),
            _ => format!("{first_ascii}{number}"),
        };
        let mut name = match self.language {
            Language::Ja => format!("{last} {first}"),
            _ => format!("{first} {last}"),
        };
        let domain =
            Fate::of_chance((chance >> 8) % 1000)
                .domain()
                .unwrap_or(match (chance >> 20) % 10 {
                    0 => "example.com",
                    1 => "example.net",
                    2 => "example.org",
                    _ => self.domain,
                });
        let address = format!("{user}@{domain}");
        if (chance >> 32).is_multiple_of(150) {
            let (account, called) = HOSTILE[number % HOSTILE.len()];
            user = format!("{account}{number}");
            called.clone_into(&mut name);
        }
        Person {
            user,
            name,
            address,
            language: if (chance >> 40).is_multiple_of(5) {
                Language::En
            } else {
                self.language
            },
            metadata: json!({ "group": number % 29 + 1 }),
        }
    }
}

impl Person {
    /// The same with an address that meets this fate.
    pub(super) fn moved_to(mut self, fate: Fate) -> Self {
        if let (Some((local, _)), Some(domain)) = (self.address.split_once('@'), fate.domain()) {
            self.address = format!("{local}@{domain}");
        }
        self
    }
}

/// A number that looks random and is always the same for the same person (the finalizer of SplitMix64).
fn scattered(number: usize, domain: &str) -> u64 {
    let mut mixed = domain.bytes().fold(number as u64, |sum, byte| {
        sum.wrapping_mul(257) + u64::from(byte)
    });
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The universities.
#[rustfmt::skip]
pub(super) const SITES: [Site; 7] = [
    Site {
        language: Language::Nb,
        name: "Universitetet i Eksempel",
        domain: "uni.example",
        courses: ["INF1000", "INF2220", "MAT1100", "FYS-MEK1110", "EXPHIL03"],
        assignment: "Oblig",
        weight: 30,
        first: [("Åse", "aase"), ("Jørgen", "jorgen"), ("Kari", "kari"), ("Ola", "ola"), ("Ingrid", "ingrid"), ("Håkon", "haakon"), ("Sigrid", "sigrid"), ("Lars", "lars"), ("Bjørn", "bjorn"), ("Tuva", "tuva"), ("Magnus", "magnus"), ("Solveig", "solveig"), ("Eirik", "eirik"), ("Maja", "maja"), ("Øystein", "oystein"), ("Nora", "nora")],
        last: [("Nordmann", "nordmann"), ("Hansen", "hansen"), ("Ødegård", "odegard"), ("Bakken", "bakken"), ("Sæther", "saether"), ("Lie", "lie"), ("Dahl", "dahl"), ("Strand", "strand"), ("Moen", "moen"), ("Solberg", "solberg"), ("Haugen", "haugen"), ("Bråten", "braten"), ("Myhre", "myhre"), ("Eide", "eide"), ("Tveit", "tveit"), ("Aas", "aas")],
    },
    Site {
        language: Language::En,
        name: "Example University",
        domain: "students.example.org",
        courses: ["CS 101", "CS 240", "MATH 210", "PHIL 12", "BIO 330"],
        assignment: "Assignment",
        weight: 25,
        first: [("April", "april"), ("Dewey", "dewey"), ("Donald", "donald"), ("Grace", "grace"), ("Alan", "alan"), ("Siobhán", "siobhan"), ("Priya", "priya"), ("Noah", "noah"), ("Olivia", "olivia"), ("Kwame", "kwame"), ("Zoë", "zoe"), ("Liam", "liam"), ("Amara", "amara"), ("Ethan", "ethan"), ("Ruby", "ruby"), ("Oscar", "oscar")],
        last: [("Duck", "duck"), ("O’Brien", "obrien"), ("Hopper", "hopper"), ("Turing", "turing"), ("Smith", "smith"), ("Okafor", "okafor"), ("Patel", "patel"), ("Nguyen", "nguyen"), ("Walker", "walker"), ("Hughes", "hughes"), ("Campbell", "campbell"), ("Singh", "singh"), ("Garcia", "garcia"), ("Mensah", "mensah"), ("Fletcher", "fletcher"), ("Young", "young")],
    },
    Site {
        language: Language::De,
        name: "Hochschule Beispiel",
        domain: "hochschule.example",
        courses: ["Informatik I", "Analysis II", "Werkstoffkunde", "Statistik", "Technisches Zeichnen"],
        assignment: "Übungsblatt",
        weight: 13,
        first: [("Jürgen", "juergen"), ("Käthe", "kaethe"), ("Lukas", "lukas"), ("Mia", "mia"), ("Jonas", "jonas"), ("Hannah", "hannah"), ("Björn", "bjoern"), ("Sophie", "sophie"), ("Emre", "emre"), ("Anneliese", "anneliese"), ("Felix", "felix"), ("Lea", "lea"), ("Günter", "guenter"), ("Marie", "marie"), ("Paul", "paul"), ("Ayşe", "ayse")],
        last: [("Müller", "mueller"), ("Groß", "gross"), ("Schmidt", "schmidt"), ("Schäfer", "schaefer"), ("Weber", "weber"), ("Köhler", "koehler"), ("Wagner", "wagner"), ("Becker", "becker"), ("Yılmaz", "yilmaz"), ("Hoffmann", "hoffmann"), ("Krüger", "krueger"), ("Vogel", "vogel"), ("Jansen", "jansen"), ("Böhm", "boehm"), ("Lang", "lang"), ("Seidel", "seidel")],
    },
    Site {
        language: Language::Fr,
        name: "Université d’Exemple",
        domain: "universite.example",
        courses: ["Algèbre 1", "Programmation", "Histoire de l’art", "Chimie organique", "Droit civil"],
        assignment: "Devoir",
        weight: 10,
        first: [("Zoé", "zoe"), ("Hélène", "helene"), ("François", "francois"), ("Léa", "lea"), ("Mathis", "mathis"), ("Chloé", "chloe"), ("Gaël", "gael"), ("Inès", "ines"), ("Jérôme", "jerome"), ("Anaïs", "anais"), ("Théo", "theo"), ("Noémie", "noemie"), ("Raphaël", "raphael"), ("Lucie", "lucie"), ("Benoît", "benoit"), ("Agnès", "agnes")],
        last: [("Lefèvre", "lefevre"), ("Dupont", "dupont"), ("Garçon", "garcon"), ("Bérenger", "berenger"), ("Moreau", "moreau"), ("Noël", "noel"), ("Girard", "girard"), ("Fontaine", "fontaine"), ("Chevalier", "chevalier"), ("Rousseau", "rousseau"), ("Diallo", "diallo"), ("Benali", "benali"), ("Legrand", "legrand"), ("Mercier", "mercier"), ("Faure", "faure"), ("Roche", "roche")],
    },
    Site {
        language: Language::Pl,
        name: "Uczelnia Przykładowa",
        domain: "uczelnia.example",
        courses: ["Algorytmy", "Analiza", "Bazy danych", "Fizyka 2", "Logika"],
        assignment: "Zadanie",
        weight: 8,
        first: [("Łukasz", "lukasz"), ("Małgorzata", "malgorzata"), ("Paweł", "pawel"), ("Zofia", "zofia"), ("Jakub", "jakub"), ("Hanna", "hanna"), ("Michał", "michal"), ("Agnieszka", "agnieszka"), ("Stanisław", "stanislaw"), ("Julia", "julia"), ("Krzysztof", "krzysztof"), ("Oliwia", "oliwia"), ("Wojciech", "wojciech"), ("Maja", "maja"), ("Grażyna", "grazyna"), ("Adam", "adam")],
        last: [("Kowalska", "kowalska"), ("Wiśniewski", "wisniewski"), ("Wójcik", "wojcik"), ("Dąbrowska", "dabrowska"), ("Zieliński", "zielinski"), ("Szymańska", "szymanska"), ("Woźniak", "wozniak"), ("Kozłowska", "kozlowska"), ("Mazur", "mazur"), ("Krawczyk", "krawczyk"), ("Piątek", "piatek"), ("Grabowska", "grabowska"), ("Pawlak", "pawlak"), ("Król", "krol"), ("Jabłońska", "jablonska"), ("Sikora", "sikora")],
    },
    Site {
        language: Language::Ja,
        name: "例示大学",
        domain: "daigaku.example",
        courses: ["情報科学入門", "線形代数", "日本文学史", "統計学", "力学"],
        assignment: "課題",
        weight: 8,
        first: [("陽菜", "hina"), ("蓮", "ren"), ("結衣", "yui"), ("悠真", "yuma"), ("さくら", "sakura"), ("大翔", "hiroto"), ("美咲", "misaki"), ("健太", "kenta"), ("葵", "aoi"), ("翔太", "shota"), ("凛", "rin"), ("湊", "minato"), ("琴音", "kotone"), ("颯", "hayate"), ("千尋", "chihiro"), ("直樹", "naoki")],
        last: [("佐藤", "sato"), ("鈴木", "suzuki"), ("高橋", "takahashi"), ("田中", "tanaka"), ("伊藤", "ito"), ("渡辺", "watanabe"), ("山本", "yamamoto"), ("中村", "nakamura"), ("小林", "kobayashi"), ("加藤", "kato"), ("吉田", "yoshida"), ("山田", "yamada"), ("佐々木", "sasaki"), ("松本", "matsumoto"), ("井上", "inoue"), ("木村", "kimura")],
    },
    Site {
        language: Language::Ar,
        name: "جامعة المثال",
        domain: "jamia.example",
        courses: ["مقدمة في البرمجة", "الجبر الخطي", "الإحصاء", "تاريخ العلوم", "الفيزياء"],
        assignment: "الواجب",
        weight: 6,
        first: [("ليلى", "layla"), ("محمد", "mohammed"), ("فاطمة", "fatima"), ("يوسف", "yousef"), ("مريم", "maryam"), ("عمر", "omar"), ("نور", "noor"), ("خالد", "khaled"), ("سارة", "sara"), ("أحمد", "ahmed"), ("هدى", "huda"), ("علي", "ali"), ("زينب", "zaynab"), ("حسن", "hassan"), ("ريم", "reem"), ("طارق", "tariq")],
        last: [("حداد", "haddad"), ("النجار", "najjar"), ("منصور", "mansour"), ("خليل", "khalil"), ("الخطيب", "khatib"), ("سليمان", "suleiman"), ("عباس", "abbas"), ("درويش", "darwish"), ("الشامي", "shami"), ("قاسم", "qasim"), ("صالح", "saleh"), ("عثمان", "othman"), ("زيدان", "zidan"), ("حمدان", "hamdan"), ("بركات", "barakat"), ("نصر", "nasr")],
    },
];

/// A university, the larger ones more often.
pub(super) fn pick(chance: u32) -> &'static Site {
    let mut left = chance % 100;
    for site in &SITES {
        if left < site.weight {
            return site;
        }
        left -= site.weight;
    }
    &SITES[0]
}

const _: () = {
    assert!(SITES[0].weight + SITES[1].weight + SITES[2].weight + SITES[3].weight == 78);
    assert!(SITES[4].weight + SITES[5].weight + SITES[6].weight == 22);
};
