//! What the demo's messages say: by kind and language, with `{placeholders}`; paragraphs are parted by an empty line.

use super::{Kind, Language};

/// The words of one kind of message in one language.
pub(super) struct Words {
    pub(super) subject: &'static str,
    pub(super) text: &'static str,
}

const fn words(subject: &'static str, text: &'static str) -> Words {
    Words { subject, text }
}

/// What a message of this kind says in this language.
pub(super) const fn of(kind: Kind, language: Language) -> Words {
    match kind {
        Kind::Feedback => feedback(language),
        Kind::CommentDelivery => comment(language),
        Kind::DeadlineMoved => deadline(language),
        Kind::AssignmentPublished => published(language),
        Kind::PasswordReset => password(language),
        Kind::Invoice => invoice(language),
        Kind::OrderShipped => shipped(language),
        Kind::SecurityAlert => alert(language),
        Kind::Newsletter => newsletter(language),
    }
}

const fn feedback(language: Language) -> Words {
    match language {
        Language::En => words(
            "Feedback on {assignment} in {course}",
            "Hi {name},\n\n{examiner} has given feedback on {assignment} in {course}. The result is {grade}.\n\n{comment}\n\nRead all of it and answer here: {url}",
        ),
        Language::Nb => words(
            "Tilbakemelding på {assignment} i {course}",
            "Hei {name},\n\n{examiner} har gitt tilbakemelding på {assignment} i {course}. Resultatet er {grade}.\n\n{comment}\n\nLes hele tilbakemeldingen og svar her: {url}",
        ),
        Language::De => words(
            "Rückmeldung zu {assignment} in {course}",
            "Hallo {name},\n\n{examiner} hat {assignment} in {course} bewertet. Das Ergebnis ist {grade}.\n\n{comment}\n\nDie ganze Rückmeldung lesen und beantworten: {url}",
        ),
        Language::Fr => words(
            "Évaluation de {assignment}, {course}",
            "Bonjour {name},\n\n{examiner} a évalué {assignment} dans {course}. Le résultat est {grade}.\n\n{comment}\n\nLire toute l’évaluation et y répondre : {url}",
        ),
        Language::Pl => words(
            "Ocena pracy {assignment} – {course}",
            "Cześć {name},\n\n{examiner} ocenił(a) pracę {assignment} w kursie {course}. Wynik: {grade}.\n\n{comment}\n\nPełną opinię przeczytasz tutaj: {url}",
        ),
        Language::Ja => words(
            "【{course}】{assignment}の講評が届きました",
            "{name} さん\n\n{course}の{assignment}について、{examiner}から講評が届きました。評価は{grade}です。\n\n{comment}\n\n全文を読み、返信するにはこちらをご覧ください。\n{url}",
        ),
        Language::Ar => words(
            "ملاحظات على {assignment} في {course}",
            "مرحبًا {name}،\n\nأضاف {examiner} ملاحظات على {assignment} في {course}. النتيجة: {grade}.\n\n{comment}\n\nلقراءة الملاحظات كاملة والرد عليها: {url}",
        ),
    }
}

const fn comment(language: Language) -> Words {
    match language {
        Language::En => words(
            "An examiner added a new comment on {assignment}",
            "{examiner} wrote on {assignment} in {course}:\n\n{comment}\n\nAnswer here: {url}",
        ),
        Language::Nb => words(
            "En sensor har lagt til en ny kommentar på {assignment}",
            "{examiner} skrev på {assignment} i {course}:\n\n{comment}\n\nSvar her: {url}",
        ),
        Language::De => words(
            "Neuer Kommentar zu {assignment}",
            "{examiner} schrieb zu {assignment} in {course}:\n\n{comment}\n\nHier antworten: {url}",
        ),
        Language::Fr => words(
            "Nouveau commentaire sur {assignment}",
            "{examiner} a écrit sur {assignment} dans {course} :\n\n{comment}\n\nRépondre ici : {url}",
        ),
        Language::Pl => words(
            "Nowy komentarz do pracy {assignment}",
            "{examiner} napisał(a) przy pracy {assignment} w kursie {course}:\n\n{comment}\n\nOdpowiedz tutaj: {url}",
        ),
        Language::Ja => words(
            "{assignment}に新しいコメントがあります",
            "{course}の{assignment}に{examiner}がコメントしました。\n\n{comment}\n\n返信はこちら: {url}",
        ),
        Language::Ar => words(
            "تعليق جديد على {assignment}",
            "كتب {examiner} على {assignment} في {course}:\n\n{comment}\n\nللرد: {url}",
        ),
    }
}

const fn deadline(language: Language) -> Words {
    match language {
        Language::En => words(
            "Deadline moved: {assignment} in {course}",
            "The deadline of {assignment} in {course} was moved to {date}.\n\nWhat was handed in already counts and need not be handed in again.\n\nSee the assignment: {url}",
        ),
        Language::Nb => words(
            "Fristen er flyttet: {assignment} i {course}",
            "Fristen for {assignment} i {course} er flyttet til {date}.\n\nDet som allerede er levert, gjelder og trenger ikke leveres på nytt.\n\nSe oppgaven: {url}",
        ),
        Language::De => words(
            "Frist verschoben: {assignment} in {course}",
            "Die Abgabefrist für {assignment} in {course} wurde auf den {date} verschoben.\n\nBereits Abgegebenes zählt und muss nicht noch einmal abgegeben werden.\n\nZur Aufgabe: {url}",
        ),
        Language::Fr => words(
            "Échéance déplacée : {assignment}, {course}",
            "L’échéance de {assignment} dans {course} est reportée au {date}.\n\nCe qui a déjà été remis compte et n’est pas à remettre de nouveau.\n\nVoir le devoir : {url}",
        ),
        Language::Pl => words(
            "Zmiana terminu: {assignment}, {course}",
            "Termin oddania pracy {assignment} w kursie {course} przesunięto na {date}.\n\nPrace już oddane są ważne i nie trzeba ich oddawać ponownie.\n\nZobacz zadanie: {url}",
        ),
        Language::Ja => words(
            "【{course}】{assignment}の締め切りが変わりました",
            "{course}の{assignment}の締め切りは{date}になりました。\n\nすでに提出したものは有効です。再提出の必要はありません。\n\n課題を見る: {url}",
        ),
        Language::Ar => words(
            "تغيير موعد التسليم: {assignment} في {course}",
            "تم تأجيل موعد تسليم {assignment} في {course} إلى {date}.\n\nما تم تسليمه سابقًا محسوب ولا حاجة إلى تسليمه مرة أخرى.\n\nعرض الواجب: {url}",
        ),
    }
}

const fn published(language: Language) -> Words {
    match language {
        Language::En => words(
            "New assignment in {course}: {assignment}",
            "{assignment} in {course} is open. It is due on {date}.\n\nWork in groups of up to three; register your group before you hand in.\n\nQuestions are answered in the group lessons and in the course’s forum.\n\nThe assignment: {url}",
        ),
        Language::Nb => words(
            "Ny oppgave i {course}: {assignment}",
            "{assignment} i {course} er åpnet. Fristen er {date}.\n\nDere kan arbeide i grupper på inntil tre; meld gruppen før dere leverer.\n\nSpørsmål besvares i gruppetimene og på kursets forum.\n\nOppgaven: {url}",
        ),
        Language::De => words(
            "Neue Aufgabe in {course}: {assignment}",
            "{assignment} in {course} ist freigeschaltet. Abgabe bis {date}.\n\nGruppen von bis zu drei Personen sind erlaubt; bitte vor der Abgabe anmelden.\n\nFragen beantworten wir in den Übungen und im Forum der Veranstaltung.\n\nZur Aufgabe: {url}",
        ),
        Language::Fr => words(
            "Nouveau devoir, {course} : {assignment}",
            "{assignment} ({course}) est ouvert. À remettre avant le {date}.\n\nVous pouvez travailler en groupes de trois au plus ; inscrivez le groupe avant de remettre.\n\nLe devoir : {url}",
        ),
        Language::Pl => words(
            "Nowe zadanie w kursie {course}: {assignment}",
            "Zadanie {assignment} w kursie {course} jest otwarte. Termin: {date}.\n\nMożna pracować w grupach do trzech osób; grupę należy zgłosić przed oddaniem pracy.\n\nZadanie: {url}",
        ),
        Language::Ja => words(
            "【{course}】新しい課題: {assignment}",
            "{course}の{assignment}が公開されました。締め切りは{date}です。\n\n三人までのグループで取り組めます。提出の前にグループを登録してください。\n\n課題: {url}",
        ),
        Language::Ar => words(
            "واجب جديد في {course}: {assignment}",
            "تم نشر {assignment} في {course}. آخر موعد للتسليم: {date}.\n\nيمكنكم العمل في مجموعات لا تزيد على ثلاثة أشخاص؛ سجّلوا المجموعة قبل التسليم.\n\nالواجب: {url}",
        ),
    }
}

const fn password(language: Language) -> Words {
    match language {
        Language::En => words(
            "Reset your password",
            "Hi {name},\n\nsomebody asked for a new password for your account. Choose one within a day: {url}\n\nIf that was not you, do nothing: your password stays as it is.",
        ),
        Language::Nb => words(
            "Nullstill passordet ditt",
            "Hei {name},\n\nnoen har bedt om nytt passord til kontoen din. Velg et innen et døgn: {url}\n\nVar det ikke deg, trenger du ikke gjøre noe: passordet forblir som det er.",
        ),
        Language::De => words(
            "Passwort zurücksetzen",
            "Hallo {name},\n\nfür Ihr Konto wurde ein neues Passwort angefordert. Wählen Sie es innerhalb eines Tages: {url}\n\nWaren Sie das nicht, so ist nichts zu tun: das Passwort bleibt, wie es ist.",
        ),
        Language::Fr => words(
            "Réinitialiser votre mot de passe",
            "Bonjour {name},\n\nun nouveau mot de passe a été demandé pour votre compte. Choisissez-le dans la journée : {url}\n\nSi ce n’était pas vous, ne faites rien.",
        ),
        Language::Pl => words(
            "Zresetuj hasło",
            "Cześć {name},\n\nktoś poprosił o nowe hasło do Twojego konta. Ustaw je w ciągu doby: {url}\n\nJeśli to nie Ty, nic nie rób: hasło pozostanie bez zmian.",
        ),
        Language::Ja => words(
            "パスワードの再設定",
            "{name} さん\n\nパスワードの再設定が申し込まれました。二十四時間以内に次のページで設定してください。\n{url}\n\n心当たりがなければ、何もする必要はありません。",
        ),
        Language::Ar => words(
            "إعادة تعيين كلمة المرور",
            "مرحبًا {name}،\n\nطُلبت كلمة مرور جديدة لحسابك. اخترها خلال يوم: {url}\n\nإن لم تكن أنت من طلبها فلا تفعل شيئًا.",
        ),
    }
}

const fn invoice(language: Language) -> Words {
    match language {
        Language::En => words(
            "Invoice {number}",
            "Dear {name},\n\nthank you for your order. Invoice {number} over {amount} is due on {date}.\n\nView or download it: {url}",
        ),
        Language::Nb => words(
            "Faktura {number}",
            "Hei {name},\n\ntakk for bestillingen. Faktura {number} på {amount} forfaller {date}.\n\nSe eller last ned fakturaen: {url}",
        ),
        Language::De => words(
            "Rechnung {number}",
            "Guten Tag {name},\n\nvielen Dank für Ihre Bestellung. Die Rechnung {number} über {amount} ist am {date} fällig.\n\nAnsehen oder herunterladen: {url}",
        ),
        Language::Fr => words(
            "Facture {number}",
            "Bonjour {name},\n\nmerci de votre commande. La facture {number} de {amount} est à régler avant le {date}.\n\nLa consulter ou la télécharger : {url}",
        ),
        Language::Pl => words(
            "Faktura nr {number}",
            "Dzień dobry {name},\n\ndziękujemy za zamówienie. Termin płatności faktury nr {number} na kwotę {amount} mija {date}.\n\nZobacz lub pobierz: {url}",
        ),
        Language::Ja => words(
            "ご請求書 {number}",
            "{name} 様\n\nご注文ありがとうございます。ご請求書 {number}（{amount}）のお支払い期限は{date}です。\n\n請求書はこちら: {url}",
        ),
        Language::Ar => words(
            "الفاتورة {number}",
            "عزيزي {name}،\n\nشكرًا لطلبك. الفاتورة {number} بقيمة {amount} تستحق في {date}.\n\nلعرضها أو تنزيلها: {url}",
        ),
    }
}

const fn shipped(language: Language) -> Words {
    match language {
        Language::En => words(
            "Your order {number} is on its way 📦",
            "Hi {name},\n\nyour order {number} left our warehouse. It should be with you by {date}.\n\nFollow it: {url}",
        ),
        Language::Nb => words(
            "Bestilling {number} er på vei 📦",
            "Hei {name},\n\nbestilling {number} har forlatt lageret og er hos deg innen {date}.\n\nFølg den: {url}",
        ),
        Language::De => words(
            "Ihre Bestellung {number} ist unterwegs 📦",
            "Guten Tag {name},\n\nIhre Bestellung {number} hat unser Lager verlassen und sollte bis {date} bei Ihnen sein.\n\nVerfolgen: {url}",
        ),
        Language::Fr => words(
            "Votre commande {number} est en route 📦",
            "Bonjour {name},\n\nvotre commande {number} a quitté notre entrepôt. Elle devrait arriver avant le {date}.\n\nLa suivre : {url}",
        ),
        Language::Pl => words(
            "Zamówienie {number} jest w drodze 📦",
            "Cześć {name},\n\nzamówienie {number} opuściło magazyn i powinno dotrzeć do {date}.\n\nŚledź przesyłkę: {url}",
        ),
        Language::Ja => words(
            "ご注文 {number} を発送しました 📦",
            "{name} 様\n\nご注文 {number} を発送しました。{date}までにお届けの予定です。\n\nお荷物の追跡: {url}",
        ),
        Language::Ar => words(
            "طلبك {number} في الطريق 📦",
            "مرحبًا {name}،\n\nغادر طلبك {number} مستودعنا ومن المتوقع وصوله قبل {date}.\n\nلتتبع الشحنة: {url}",
        ),
    }
}

const fn alert(language: Language) -> Words {
    match language {
        Language::En => words(
            "New sign-in to your account",
            "Hi {name},\n\nthere was a sign-in from a device we have not seen before, on {date}, from 192.0.2.{octet}.\n\nIf that was you, all is well. If not, change your password now: {url}",
        ),
        Language::Nb => words(
            "Ny innlogging på kontoen din",
            "Hei {name},\n\nnoen logget inn fra en enhet vi ikke kjenner, {date}, fra 192.0.2.{octet}.\n\nVar det deg, er alt i orden. Hvis ikke, bytt passord nå: {url}",
        ),
        Language::De => words(
            "Neue Anmeldung bei Ihrem Konto",
            "Hallo {name},\n\nam {date} gab es eine Anmeldung von einem unbekannten Gerät, von 192.0.2.{octet}.\n\nWaren Sie es, ist alles gut. Wenn nicht, ändern Sie jetzt das Passwort: {url}",
        ),
        Language::Fr => words(
            "Nouvelle connexion à votre compte",
            "Bonjour {name},\n\nune connexion depuis un appareil inconnu a eu lieu le {date}, depuis 192.0.2.{octet}.\n\nSi c’était vous, tout va bien. Sinon, changez de mot de passe : {url}",
        ),
        Language::Pl => words(
            "Nowe logowanie na Twoje konto",
            "Cześć {name},\n\n{date} zalogowano się z nieznanego urządzenia, z adresu 192.0.2.{octet}.\n\nJeśli to nie Ty, zmień hasło: {url}",
        ),
        Language::Ja => words(
            "新しい端末からのログイン",
            "{name} さん\n\n{date}、これまでにない端末（192.0.2.{octet}）からログインがありました。\n\n心当たりがなければ、すぐにパスワードを変更してください。\n{url}",
        ),
        Language::Ar => words(
            "تسجيل دخول جديد إلى حسابك",
            "مرحبًا {name}،\n\nسُجّل دخول من جهاز غير معروف بتاريخ {date} من العنوان 192.0.2.{octet}.\n\nإن لم تكن أنت فغيّر كلمة المرور الآن: {url}",
        ),
    }
}

const fn newsletter(language: Language) -> Words {
    match language {
        Language::En => words(
            "News from {site}, week {week}",
            "This week: the library is open late before the exams, the lift in the north building works again, and the choir looks for basses.\n\nEverything else: {url}",
        ),
        Language::Nb => words(
            "Nytt fra {site}, uke {week}",
            "Denne uken: biblioteket har kveldsåpent før eksamen, heisen i nordbygget virker igjen, og koret søker basser.\n\nAlt annet: {url}",
        ),
        Language::De => words(
            "Neues von {site}, Woche {week}",
            "Diese Woche: die Bibliothek hat vor den Prüfungen länger offen, der Aufzug im Nordbau fährt wieder, und der Chor sucht Bässe.\n\nAlles Weitere: {url}",
        ),
        Language::Fr => words(
            "Nouvelles de {site}, semaine {week}",
            "Cette semaine : la bibliothèque ferme plus tard avant les examens, l’ascenseur du bâtiment nord fonctionne de nouveau, et la chorale cherche des basses.\n\nTout le reste : {url}",
        ),
        Language::Pl => words(
            "Wiadomości: {site}, tydzień {week}",
            "W tym tygodniu: biblioteka otwarta dłużej przed egzaminami, winda w budynku północnym znów działa, a chór szuka basów.\n\nWięcej: {url}",
        ),
        Language::Ja => words(
            "{site}ニュース 第{week}週",
            "今週のお知らせ：試験前は図書館が夜まで開いています。北館のエレベーターが直りました。合唱団はバスを募集中です。\n\nほかの記事: {url}",
        ),
        Language::Ar => words(
            "أخبار {site}، الأسبوع {week}",
            "هذا الأسبوع: المكتبة مفتوحة مساءً قبل الامتحانات، وعاد مصعد المبنى الشمالي إلى العمل، والجوقة تبحث عن أصوات.\n\nالمزيد: {url}",
        ),
    }
}

/// What examiners write.
pub(super) const fn comments(language: Language) -> [&'static str; 3] {
    match language {
        Language::En => [
            "Good structure, and the tests say what they mean. Look again at the third task: the loop reads one element too far when the list is empty.",
            "Well done! The proof of the second lemma is elegant.\nOne thing:\n  - say where you use that the graph is connected\n  - name the case n = 0",
            "I cannot compile it: `error: cannot find symbol Stack`. Please hand in again, with all the files.",
        ],
        Language::Nb => [
            "God struktur, og testene sier hva de mener. Se på oppgave tre en gang til: løkken leser ett element for langt når listen er tom.",
            "Bra jobbet! Beviset for det andre lemmaet er elegant.\nÉn ting:\n  - si hvor du bruker at grafen er sammenhengende\n  - nevn tilfellet n = 0",
            "Jeg får ikke kompilert: `error: cannot find symbol Stack`. Lever på nytt med alle filene, er du snill.",
        ],
        Language::De => [
            "Gute Gliederung, und die Tests sagen, was sie meinen. Bitte Aufgabe drei noch einmal ansehen: bei leerer Liste liest die Schleife ein Element zu weit.",
            "Sehr schön! Der Beweis des zweiten Lemmas ist elegant.\nEins noch: wo geht ein, dass der Graph zusammenhängend ist?",
            "Lässt sich nicht übersetzen: `error: cannot find symbol Stack`. Bitte noch einmal mit allen Dateien abgeben.",
        ],
        Language::Fr => [
            "Bonne structure, et les tests disent ce qu’ils vérifient. Relisez la troisième question : la boucle va un élément trop loin quand la liste est vide.",
            "Bravo ! La preuve du second lemme est élégante. Précisez où sert la connexité du graphe.",
            "Impossible à compiler : `error: cannot find symbol Stack`. Remettez-le avec tous les fichiers.",
        ],
        Language::Pl => [
            "Dobra struktura, a testy mówią, co sprawdzają. Zajrzyj jeszcze do zadania trzeciego: przy pustej liście pętla czyta o jeden element za daleko.",
            "Świetnie! Dowód drugiego lematu jest elegancki. Napisz tylko, gdzie korzystasz ze spójności grafu.",
            "Nie kompiluje się: `error: cannot find symbol Stack`. Proszę oddać jeszcze raz ze wszystkimi plikami.",
        ],
        Language::Ja => [
            "構成がよく、テストの意図も明確です。問三だけ見直してください。リストが空のとき、ループが一つ先まで読んでしまいます。",
            "よくできました。二つ目の補題の証明は見事です。グラフの連結性をどこで使うかを書いてください。",
            "コンパイルできません: `error: cannot find symbol Stack`。すべてのファイルを付けて再提出してください。",
        ],
        Language::Ar => [
            "بنية جيدة والاختبارات واضحة. راجع السؤال الثالث: الحلقة تقرأ عنصرًا زائدًا عندما تكون القائمة فارغة.",
            "أحسنت! برهان اللِّمّة الثانية أنيق. اذكر أين استعملت ترابط البيان.",
            "لم أستطع الترجمة: `error: cannot find symbol Stack`. يرجى التسليم مرة أخرى مع كل الملفات.",
        ],
    }
}
