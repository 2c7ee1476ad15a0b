//! Executes effects: the loop, and the threads beside it.

mod jobs;
mod signals;

use std::{
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use ratatui::{
    crossterm::{
        event::{self, Event as Input, KeyEventKind, MouseButton, MouseEventKind},
        terminal,
    },
    layout::{Position, Size},
};
use signal_hook::consts::SIGHUP;

use self::{
    jobs::Jobs,
    signals::{end, has_hung_up, watch_hang_up, watch_signals},
};
use super::{
    courier::Courier,
    effect::{BackendOrder, Effect, Event, JobId, JobNews, Mouse, Order, Save},
    kept::{self, Keeper},
    pager::{Gate, Pager},
    question::{Ask, Source},
    reader::Reader,
    save,
    state::{Setup, State},
    terminal::{Screen, THREADS, give_back},
    update::{start, told, update},
    view::view,
};

/// How often the store is asked whether it has changed.
const TICK: Duration = Duration::from_secs(1);

/// The first frame waits this long for rows, so that it is not empty for an instant.
const FIRST_FRAME: Duration = Duration::from_millis(100);

/// What the runtime works with.
pub struct Parts {
    /// What the state begins with.
    pub setup: Setup,
    /// Where is kept what is to be there at the next start; `None`: nowhere.
    pub kept_in: Option<PathBuf>,
    /// The first query.
    pub query: String,
    /// Answers what must be quick.
    pub swift: Box<dyn Source>,
    /// Answers what may take long.
    pub patient: Box<dyn Source>,
    /// Carries out orders.
    pub courier: Arc<dyn Courier>,
    /// Take the mouse, too.
    pub mouse: bool,
}

/// News from the threads.
enum News {
    Event(Box<Event>),
    /// The terminal could not be read: it is gone.
    Gone(String),
    /// A thread panicked; it was told where it happened.
    Panicked,
    /// Somebody wants the process to stand still.
    Suspend,
}

impl From<Event> for News {
    fn from(event: Event) -> Self {
        Self::Event(Box::new(event))
    }
}

/// Runs the console until it is left. Returns what the jobs that were still running then came to, a sentence each.
pub fn run(parts: Parts) -> anyhow::Result<Vec<String>> {
    let (sender, news) = unbounded();
    let (width, height) = terminal::size().context("the terminal does not say how large it is")?;
    let mut state = State::new(parts.setup, Size::new(width, height), chrono::Utc::now());
    if let Some(path) = &parts.kept_in {
        state.recall(kept::read(path));
    }
    let answers = || {
        let sender = sender.clone();
        Box::new(move |ask, answer| drop(sender.send(News::from(Event::Answer(ask, answer)))))
    };
    let jobs = Arc::new(Jobs::default());
    let mut screen = Screen::take(parts.mouse)?;
    let gate = Arc::new(Gate::default());
    watch_signals(&jobs, &gate, &sender)?;
    watch_hang_up(&jobs)?;
    read_keys(&sender, &gate)?;
    let keeper = parts.kept_in.map(|path| {
        let sender = sender.clone();
        Keeper::start(path, move |error| {
            drop(sender.send(News::from(Event::NotKept(error.to_string()))));
        })
    });
    let mut runtime = Runtime {
        keeper: keeper.transpose()?,
        swift: Reader::start("console-reader", parts.swift, answers())?,
        patient: Reader::start("console-counter", parts.patient, answers())?,
        courier: parts.courier,
        jobs: Arc::clone(&jobs),
        pager: Pager::new(gate)?,
        sender,
        tick: Instant::now() + TICK,
    };

    match runtime.show(&mut screen, &mut state, &news, &parts.query) {
        // Whoever meets it first: the keys, what is drawn, or who watches for it.
        Err(_) if has_hung_up() => end(&jobs, SIGHUP),
        shown => shown?,
    }
    drop(screen);
    Ok(last_words(&state, &jobs, &news))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Wait,
    Draw,
    End,
}

impl Next {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::End, _) | (_, Self::End) => Self::End,
            (Self::Draw, _) | (_, Self::Draw) => Self::Draw,
            (Self::Wait, Self::Wait) => Self::Wait,
        }
    }
}

struct Runtime {
    keeper: Option<Keeper>,
    swift: Reader,
    patient: Reader,
    courier: Arc<dyn Courier>,
    jobs: Arc<Jobs>,
    pager: Pager,
    sender: Sender<News>,
    /// When the store is asked again whether it has changed.
    tick: Instant,
}

impl Runtime {
    /// Shows the first frame as soon as there is something to show, and goes on until the end.
    fn show(
        &mut self,
        screen: &mut Screen,
        state: &mut State,
        news: &Receiver<News>,
        query: &str,
    ) -> anyhow::Result<()> {
        let mut next = self.execute(screen, start(state, query))?;
        let until = Instant::now() + FIRST_FRAME;
        while !state.is_ready()
            && next != Next::End
            && let Ok(first) = news.recv_deadline(until)
        {
            next = next.and(self.take(screen, state, first)?);
        }
        screen.draw(|frame| view(state, frame))?;
        while next != Next::End {
            next = self.turn(screen, state, news)?;
        }
        Ok(())
    }

    /// Waits for something to happen, takes in all that has happened by then, and draws once if the screen no longer shows it.
    fn turn(
        &mut self,
        screen: &mut Screen,
        state: &mut State,
        news: &Receiver<News>,
    ) -> anyhow::Result<Next> {
        let first = match news.recv_deadline(self.tick) {
            Ok(news) => Some(news),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => bail!("the console's threads have ended"),
        };
        // Also while one key follows another: who only waited for a quiet second would show them what is long gone.
        let tick = (Instant::now() >= self.tick).then(|| {
            self.tick = Instant::now() + TICK;
            News::from(Event::Tick(chrono::Utc::now()))
        });
        let mut next = Next::Wait;
        for news in first.into_iter().chain(news.try_iter()).chain(tick) {
            next = next.and(self.take(screen, state, news)?);
            if next == Next::End {
                return Ok(next);
            }
        }
        if next == Next::Draw {
            screen.draw(|frame| view(state, frame))?;
        }
        Ok(next)
    }

    fn take(&mut self, screen: &mut Screen, state: &mut State, news: News) -> anyhow::Result<Next> {
        match news {
            News::Event(event) => self.execute(screen, update(state, *event)),
            News::Gone(why) => bail!("the terminal is gone: {why}"),
            News::Panicked => bail!("the console ended because of a fault in it"),
            News::Suspend => self.execute(screen, vec![Effect::Suspend]),
        }
    }

    fn execute(&mut self, screen: &mut Screen, effects: Vec<Effect>) -> anyhow::Result<Next> {
        let mut next = Next::Wait;
        for effect in effects {
            match effect {
                Effect::Draw => next = next.and(Next::Draw),
                Effect::Redraw => {
                    screen.clear()?;
                    next = next.and(Next::Draw);
                }
                Effect::Ask(ask) => self.ask(ask),
                Effect::Start(id, order) => self.begin(id, order)?,
                Effect::Stop(id) => self.jobs.stop(id),
                Effect::Suspend => {
                    if self.jobs.are_running() {
                        give_back();
                        let _ = writeln!(io::stderr(), "waiting for the answers under way…");
                        self.jobs.pause_all();
                    }
                    screen.suspend()?;
                    self.jobs.resume_all();
                    // The terminal may have another size by now; nobody told a process that stood still.
                    let (width, height) = terminal::size()?;
                    drop(self.sender.send(News::from(Event::Resize(width, height))));
                    drop(self.sender.send(News::from(Event::Resumed)));
                }
                Effect::Copy(text) => screen.copy(&text)?,
                Effect::Page(page) => {
                    let shown = self.pager.show(&page, |run| screen.lend(run))?;
                    let failed = shown.err();
                    let (width, height) = terminal::size()?;
                    let news = [
                        Event::Resize(width, height),
                        Event::Resumed,
                        Event::Paged(failed),
                    ];
                    for event in news {
                        drop(self.sender.send(News::from(event)));
                    }
                }
                Effect::Save(wanted) => self.save(wanted)?,
                Effect::SetBackend(order) => self.set_backend(order)?,
                Effect::Keep(change) => {
                    if let Some(keeper) = &self.keeper {
                        keeper.keep(change);
                    }
                }
                Effect::Quit => next = Next::End,
            }
        }
        Ok(next)
    }

    fn ask(&self, ask: Ask) {
        if ask.question.sort().is_patient() {
            self.patient.ask(ask);
        } else {
            self.swift.ask(ask);
        }
    }

    /// On a thread of its own: a file may lie on a slow disk.
    fn save(&self, wanted: Save) -> io::Result<()> {
        let sender = self.sender.clone();
        spawn("save", Some(self.sender.clone()), move || {
            let result = save::save(&wanted);
            drop(sender.send(News::from(Event::Saved(wanted, result))));
        })
    }

    /// On a thread of its own: it may wait for whoever writes.
    fn set_backend(&self, order: BackendOrder) -> io::Result<()> {
        let (courier, sender) = (Arc::clone(&self.courier), self.sender.clone());
        spawn("backend", Some(self.sender.clone()), move || {
            let result = courier.set_backend(&order);
            drop(sender.send(News::from(Event::BackendSet(order, result))));
        })
    }

    fn begin(&self, id: JobId, order: Order) -> io::Result<()> {
        let stop = self.jobs.begin(id);
        let (courier, jobs, sender) = (
            Arc::clone(&self.courier),
            Arc::clone(&self.jobs),
            self.sender.clone(),
        );
        // Not named after the console: a panic in it is the job's failure, not the screen's.
        thread::Builder::new()
            .name(format!("job-{id}"))
            .spawn(move || {
                let tell = |news| drop(sender.send(News::from(Event::Job(id, news))));
                let work = || courier.carry_out(&order, &stop, &tell);
                let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                    Err(
                        "a fault in the program ended it; what it had not sent is still due"
                            .to_owned(),
                    )
                });
                tell(JobNews::Finished(result));
                jobs.end(id);
            })?;
        Ok(())
    }
}

/// The terminal is given back; the jobs that still run are stopped, however long what they hold takes to be written. Ctrl-C ends that, too.
fn last_words(state: &State, jobs: &Jobs, news: &Receiver<News>) -> Vec<String> {
    if !jobs.are_running() {
        return Vec::new();
    }
    let _ = writeln!(io::stderr(), "stopping what is still running…");
    jobs.stop_all(Duration::MAX);
    let order = |id| {
        state
            .jobs
            .iter()
            .find(|job| job.id == id)
            .map(|job| &job.order)
    };
    news.try_iter()
        .filter_map(|news| match news {
            News::Event(event) => match *event {
                Event::Job(id, JobNews::Finished(result)) => {
                    order(id).map(|order| told(order, &result).text.into_string())
                }
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// A thread of the console: its panic ends the console.
fn spawn(
    name: &str,
    sender: Option<Sender<News>>,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new()
        .name(format!("{THREADS}-{name}"))
        .spawn(move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err()
                && let Some(sender) = sender
            {
                drop(sender.send(News::Panicked));
            }
        })?;
    Ok(())
}

fn read_keys(sender: &Sender<News>, gate: &Arc<Gate>) -> io::Result<()> {
    let gate = Arc::clone(gate);
    let (sender, if_it_panics) = (sender.clone(), sender.clone());
    spawn("keys", Some(if_it_panics), move || {
        loop {
            gate.pass();
            let event = match event::read() {
                Ok(Input::Key(key)) if key.kind == KeyEventKind::Release => continue,
                Ok(Input::Key(key)) => Event::Key(key),
                Ok(Input::Paste(text)) => Event::Paste(text),
                Ok(Input::Resize(width, height)) => Event::Resize(width, height),
                Ok(Input::Mouse(mouse)) => {
                    let what = match mouse.kind {
                        MouseEventKind::Down(MouseButton::Left) => Mouse::Click,
                        MouseEventKind::ScrollDown => Mouse::WheelDown,
                        MouseEventKind::ScrollUp => Mouse::WheelUp,
                        _ => continue,
                    };
                    Event::Mouse(what, Position::new(mouse.column, mouse.row))
                }
                Ok(Input::FocusGained | Input::FocusLost) => continue,
                Err(error) => {
                    drop(sender.send(News::Gone(error.to_string())));
                    return;
                }
            };
            if sender.send(News::from(event)).is_err() {
                return;
            }
        }
    })
}
