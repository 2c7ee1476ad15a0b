//! The threads that ask the store. Of each sort of question only the latest is answered: a newer one takes its place, and ends it when it is
//! being answered already.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use super::question::{Answer, Ask, Sort, Source};

/// Where answers go.
pub type Deliver = dyn Fn(Ask, Result<Answer, String>) + Send;

/// How long the end waits for what is being answered: a question to the store ends at once, but the reading of a large mail cannot be interrupted.
const PATIENCE: Duration = Duration::from_millis(200);

/// One thread with one source. Dropped, it ends what it is answering and waits a moment for that; then the thread ends by itself, or with the process.
pub struct Reader {
    desk: Arc<Desk>,
    interrupt: Box<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Desk {
    papers: Mutex<Papers>,
    news: Condvar,
}

#[derive(Default)]
struct Papers {
    /// What waits, the most urgent sort first.
    waiting: [Option<Ask>; Sort::COUNT],
    answering: Option<Sort>,
    interrupted: bool,
    closed: bool,
}

impl Reader {
    /// Starts it.
    pub fn start(
        name: &str,
        mut source: Box<dyn Source>,
        deliver: Box<Deliver>,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let interrupt = source.interrupter();
        let theirs = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some(ask) = theirs.next() {
                    let answer = source.answer(&ask.question);
                    if let Some(ask) = theirs.done(ask, answer.is_err()) {
                        deliver(ask, answer);
                    }
                }
            })?;
        Ok(Self {
            desk,
            interrupt,
            thread: Some(thread),
        })
    }

    /// Asks. Returns at once.
    pub fn ask(&self, ask: Ask) {
        let sort = ask.question.sort();
        let mut papers = self.desk.papers();
        papers.waiting[sort as usize] = Some(ask);
        if papers.answering.is_some_and(|answering| sort <= answering) {
            papers.interrupted = true;
            (self.interrupt)();
        }
        self.desk.news.notify_one();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut papers = self.desk.papers();
        papers.closed = true;
        if papers.answering.is_some() {
            (self.interrupt)();
        }
        self.desk.news.notify_all();
        let (papers, _) = self
            .desk
            .news
            .wait_timeout_while(papers, PATIENCE, |papers| papers.answering.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        let answers = papers.answering.is_some();
        drop(papers);
        if let Some(thread) = self.thread.take()
            && !answers
        {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most urgent question, as soon as there is one; `None` at the end.
    fn next(&self) -> Option<Ask> {
        let mut papers = self.papers();
        loop {
            if papers.closed {
                return None;
            }
            if let Some(ask) = papers.waiting.iter_mut().find_map(Option::take) {
                papers.answering = Some(ask.question.sort());
                papers.interrupted = false;
                return Some(ask);
            }
            papers = self
                .news
                .wait(papers)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A question was answered. Returns it if the answer matters; one that was only pushed aside by a more urgent one waits again.
    fn done(&self, ask: Ask, failed: bool) -> Option<Ask> {
        let mut papers = self.papers();
        papers.answering = None;
        if papers.closed {
            self.news.notify_all();
        }
        if !(papers.interrupted && failed) {
            return Some(ask);
        }
        let place = &mut papers.waiting[ask.question.sort() as usize];
        if place.is_none() {
            *place = Some(ask);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{console::question::Question, message::ReceiverId, query::Query, store::Count};

    /// A source that is told by the test when to answer, and that notes what it was asked.
    struct Slow {
        asked: mpsc::Sender<Question>,
        go: mpsc::Receiver<()>,
        stop: Arc<Mutex<Option<mpsc::Sender<()>>>>,
    }

    impl Source for Slow {
        fn answer(&mut self, question: &Question) -> Result<Answer, String> {
            self.asked.send(question.clone()).unwrap();
            match self.go.recv() {
                Ok(()) => Ok(Answer::Count(Count::Exact(1))),
                Err(_) => Err("interrupted".to_owned()),
            }
        }

        fn interrupter(&self) -> Box<dyn Fn() + Send + Sync> {
            let stop = Arc::clone(&self.stop);
            Box::new(move || drop(stop.lock().unwrap().take()))
        }
    }

    /// A reader of such a source, what the source is asked, and the tickets that are answered.
    fn slow(
        go: mpsc::Receiver<()>,
        stop: Option<mpsc::Sender<()>>,
    ) -> (Reader, mpsc::Receiver<Question>, mpsc::Receiver<u64>) {
        let (asked, questions) = mpsc::channel();
        let stop = Arc::new(Mutex::new(stop));
        let (deliver, answers) = mpsc::channel();
        let reader = Reader::start(
            "test",
            Box::new(Slow { asked, go, stop }),
            Box::new(move |ask, _| deliver.send(ask.ticket).unwrap()),
        );
        (reader.unwrap(), questions, answers)
    }

    fn count(ticket: u64, exact: bool) -> Ask {
        Ask {
            ticket,
            question: Question::Count {
                query: Query::default(),
                exact,
            },
        }
    }

    #[test]
    fn a_newer_question_ends_an_older_one_of_its_sort() {
        let (go, gate) = mpsc::channel();
        let (reader, questions, answers) = slow(gate, Some(go));
        reader.ask(count(1, false));
        assert_eq!(questions.recv().unwrap(), count(1, false).question);
        reader.ask(count(2, true));
        assert_eq!(questions.recv().unwrap(), count(2, true).question);
        // The gate fell with the interruption, so the second is answered with an error that nobody caused: it is delivered.
        assert_eq!(answers.recv().unwrap(), 2);
    }

    #[test]
    fn what_cannot_be_interrupted_does_not_keep_the_console_from_ending() {
        let (go, gate) = mpsc::channel();
        let (reader, questions, answers) = slow(gate, None);
        reader.ask(count(1, true));
        questions.recv().unwrap();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            drop(reader);
            ended.send(()).unwrap();
        });
        end.recv_timeout(Duration::from_secs(20)).unwrap();
        go.send(()).unwrap();
        assert_eq!(answers.recv().unwrap(), 1);
        assert!(answers.recv().is_err(), "then the thread ends");
    }

    #[test]
    fn a_question_pushed_aside_by_a_more_urgent_one_is_still_answered() {
        let (go, gate) = mpsc::channel();
        let (reader, questions, answers) = slow(gate, Some(go));
        reader.ask(count(1, false));
        questions.recv().unwrap();
        reader.ask(Ask {
            ticket: 2,
            question: Question::Detail(ReceiverId(7)),
        });
        assert_eq!(answers.recv().unwrap(), 2);
        assert_eq!(answers.recv().unwrap(), 1);
    }
}
