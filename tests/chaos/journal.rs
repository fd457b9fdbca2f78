//! The record of all answers: counts for the report, breaches, and when each client got right answers again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::checks::{Breach, Outcome};
use crate::faults::Fault;
use crate::traffic::{Expected, Group, Kind};

/// So many right answers show that a client works: during a fault that may not harm it, and after one, where they come one
/// after the other.
const STREAK: u64 = 3;

/// Who sent a request, in the report: by the part that decides it, or the clients of the cell at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Filter,
    Service,
    Limited,
    Strict,
    /// Requests of the cell that is at fault, whatever decides them.
    CellAtFault,
}

/// Answers by outcome.
pub(crate) type Counts = BTreeMap<Outcome, u64>;

/// The answers of one fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) counts: BTreeMap<Column, Counts>,
    /// From the moment when the fault was lifted to the first right answer of the last client that got one. The clients of a
    /// column that the fault cannot harm have none.
    pub(crate) recovery: Option<Duration>,
}

/// The clients report to it.
#[derive(Debug)]
pub(crate) struct Journal {
    kinds: Vec<Kind>,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    stage: Stage,
    answers: Answers,
    clients: Vec<Client>,
    breaches: Vec<Breach>,
    total: u64,
    /// Only answers to requests that were sent later say how a client works now.
    mark: Option<Instant>,
    /// Since when every part has worked again.
    whole: Option<Instant>,
}

/// The state of the run.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Every answer must be right.
    Quiet,
    /// Errors are allowed that the fault's row names.
    Fault(&'static Fault, Option<Instant>),
}

/// The answers of one client since the mark.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    /// Right answers.
    right: u64,
    /// Right answers one after the other.
    streak: u64,
    since: Option<Instant>,
    /// When it sent the request of its last right answer.
    sent: Option<Instant>,
    last: Option<Outcome>,
}

impl Column {
    /// All, in the order of the report.
    pub(crate) const ALL: [Self; 5] = [Self::Filter, Self::Service, Self::Limited, Self::Strict, Self::CellAtFault];

    /// The column of a kind of request during a fault.
    pub(crate) fn of(kind: &Kind, fault: Option<&Fault>) -> Self {
        let cell = fault.and_then(|fault| fault.cell);
        match kind.group {
            _ if cell.is_some_and(|cell| kind.expected == Expected::Cell(cell)) => Self::CellAtFault,
            Group::Filter => Self::Filter,
            Group::Service => Self::Service,
            Group::Limited => Self::Limited,
            Group::Strict => Self::Strict,
        }
    }
}

impl Journal {
    pub(crate) fn new(kinds: Vec<Kind>) -> Self {
        let clients = vec![Client::default(); kinds.len()];
        let (stage, answers, breaches) = (Stage::Quiet, Answers::default(), Vec::new());
        let book = Book { stage, answers, clients, breaches, total: 0, mark: None, whole: None };
        Self { kinds, book: Mutex::new(book) }
    }

    /// The kinds of requests. Each has one client.
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// A client reports the answer to a request that it sent at `start`.
    pub(crate) fn record(&self, client: usize, start: Instant, judged: Result<Outcome, Breach>, answer: &str) {
        let Some(kind) = self.kinds.get(client) else { return };
        let mut book = self.book();
        book.total += 1;
        let fault = match book.stage {
            Stage::Quiet => None,
            Stage::Fault(fault, _) => Some(fault),
        };
        let column = Column::of(kind, fault);
        let (outcome, breach) = match judged {
            Ok(outcome) if outcome == Outcome::Good || fault.is_some_and(|fault| fault.allows(column, outcome)) => {
                (Some(outcome), None)
            }
            Ok(outcome) if fault.is_none() => (Some(outcome), Some(format!("{outcome} without a fault"))),
            Ok(outcome) => (Some(outcome), Some(format!("the fault does not allow {outcome}"))),
            Err(breach) => (None, Some(breach)),
        };
        if let Some(breach) = breach {
            book.breaches.push(describe(kind, &breach, answer));
        }
        if let Some(outcome) = outcome {
            *book.answers.counts.entry(column).or_default().entry(outcome).or_default() += 1;
        }
        let counts = book.mark.is_none_or(|mark| start >= mark);
        if let Some(client) = book.clients.get_mut(client) {
            client.last = outcome;
            if outcome != Some(Outcome::Good) {
                (client.streak, client.since) = (0, None);
            } else if counts {
                client.right += 1;
                client.streak += 1;
                client.since = client.since.or_else(|| Some(Instant::now()));
                client.sent = Some(start);
            }
        }
    }

    /// A breach that no answer has shown.
    pub(crate) fn breach(&self, breach: Breach) {
        self.book().breaches.push(breach);
    }

    /// A fault is about to be injected.
    pub(crate) fn begin(&self, fault: &'static Fault) {
        let mut book = self.book();
        book.stage = Stage::Fault(fault, None);
        book.answers = Answers::default();
        book.reset(None);
    }

    /// The fault has had its effect: answers that follow show who works in spite of it.
    pub(crate) fn notice(&self) {
        self.book().reset(Some(Instant::now()));
    }

    /// The clients that must work during this fault, and have not shown it since its effect.
    pub(crate) fn starved(&self, fault: &Fault) -> Vec<String> {
        let must = |kind: &Kind| fault.spares(Column::of(kind, Some(fault)));
        self.named(|kind, client| must(kind) && client.right < STREAK)
    }

    /// The fault is about to be lifted. The time of recovery begins: an operator's work is a part of it.
    pub(crate) fn lift(&self) {
        let mut book = self.book();
        let now = Instant::now();
        if let Stage::Fault(_, lifted) = &mut book.stage {
            *lifted = Some(now);
        }
        book.reset(Some(now));
    }

    /// Whether every part works again.
    pub(crate) fn parts(&self, are_whole: bool) {
        let mut book = self.book();
        book.whole = if are_whole { book.whole.or_else(|| Some(Instant::now())) } else { None };
    }

    /// If every part and every client works again, the end of the fault: from now on every answer must be right. So each
    /// client must have got an answer that no part in trouble has touched.
    pub(crate) fn try_recover(&self) -> Option<Answers> {
        let mut book = self.book();
        let Stage::Fault(_, Some(lifted)) = book.stage else { return None };
        let whole = book.whole?;
        let works = |client: &Client| client.streak >= STREAK && client.sent.is_some_and(|sent| sent >= whole);
        if !book.clients.iter().all(works) {
            return None;
        }
        let times = book.clients.iter().filter_map(|client| client.since).map(|since| since - lifted);
        book.answers.recovery = times.max();
        book.stage = Stage::Quiet;
        book.reset(None);
        Some(std::mem::take(&mut book.answers))
    }

    /// Whether every client has got `count` right answers since the last change.
    pub(crate) fn is_steady(&self, count: u64) -> bool {
        self.book().clients.iter().all(|client| client.streak >= count)
    }

    /// The clients that do not work, for a message.
    pub(crate) fn unwell(&self) -> Vec<String> {
        self.named(|_, client| client.streak < STREAK)
    }

    /// Those clients, with their last answers.
    fn named(&self, which: impl Fn(&Kind, &Client) -> bool) -> Vec<String> {
        let book = self.book();
        let clients = self.kinds.iter().zip(&book.clients).filter(|(kind, client)| which(kind, client));
        clients.map(|(kind, client)| format!("{} ({:?})", kind.name, client.last)).collect()
    }

    /// How many answers of a column have failed in this fault.
    pub(crate) fn failed(&self, column: Column) -> u64 {
        let book = self.book();
        let counts = book.answers.counts.get(&column).into_iter().flatten();
        counts.filter(|(outcome, _)| **outcome != Outcome::Good).map(|(_, count)| count).sum()
    }

    /// The breaches since the last call.
    pub(crate) fn take_breaches(&self) -> Vec<Breach> {
        std::mem::take(&mut self.book().breaches)
    }

    /// All answers so far.
    pub(crate) fn total(&self) -> u64 {
        self.book().total
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn reset(&mut self, mark: Option<Instant>) {
        self.clients.fill(Client::default());
        (self.mark, self.whole) = (mark, None);
    }
}

/// A breach with its request and its answer.
fn describe(kind: &Kind, breach: &str, answer: &str) -> Breach {
    format!(
        "{breach}\n  request  {} over {:?}, {} bytes, expected {:?}\n  answer   {answer}",
        kind.path(0).trim_end_matches("/0"),
        kind.protocol,
        kind.body.len(),
        kind.expected,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FAULTS;
    use crate::traffic::kinds;

    fn journal() -> Journal {
        Journal::new(kinds().unwrap())
    }

    fn fault(name: &str) -> &'static Fault {
        FAULTS.iter().find(|fault| fault.name == name).unwrap()
    }

    fn client(journal: &Journal, name: &str) -> usize {
        journal.kinds().iter().position(|kind| kind.name == name).unwrap()
    }

    fn all_good(journal: &Journal, start: Instant) {
        for client in 0..journal.kinds().len() {
            for _ in 0..STREAK {
                journal.record(client, start, Ok(Outcome::Good), "");
            }
        }
    }

    #[test]
    fn an_error_without_a_fault_is_a_breach() {
        let journal = journal();
        journal.record(0, Instant::now(), Ok(Outcome::Good), "");
        assert!(journal.take_breaches().is_empty());
        journal.record(0, Instant::now(), Ok(Outcome::Status(503)), "503 busy");
        let breaches = journal.take_breaches();
        assert!(breaches[0].contains("503 without a fault") && breaches[0].contains("503 busy"), "{breaches:?}");
    }

    #[test]
    fn a_fault_allows_only_what_its_row_names_and_only_until_recovery() {
        let journal = journal();
        let (json, large) = (client(&journal, "json"), client(&journal, "large"));
        journal.begin(fault("service-kill-both"));
        journal.record(large, Instant::now(), Ok(Outcome::Status(503)), "");
        assert!(journal.take_breaches().is_empty());
        assert_eq!(journal.failed(Column::Service), 1);
        // What the filter decides must not notice, and other errors are not allowed.
        journal.record(json, Instant::now(), Ok(Outcome::Status(503)), "");
        journal.record(large, Instant::now(), Ok(Outcome::Status(421)), "");
        journal.record(large, Instant::now(), Ok(Outcome::Late), "");
        assert_eq!(journal.take_breaches().len(), 3);

        journal.lift();
        journal.parts(true);
        all_good(&journal, Instant::now());
        let answers = journal.try_recover().unwrap();
        assert_eq!(answers.counts[&Column::Service][&Outcome::Status(503)], 1);
        assert!(answers.recovery.is_some());
        journal.record(large, Instant::now(), Ok(Outcome::Status(503)), "");
        assert_eq!(journal.take_breaches().len(), 1);
    }

    #[test]
    fn a_client_works_again_only_by_requests_that_it_sent_after_the_fault() {
        let journal = journal();
        let before = Instant::now();
        journal.begin(fault("service-kill-both"));
        journal.lift();
        journal.parts(true);
        all_good(&journal, before);
        assert!(journal.try_recover().is_none());
        all_good(&journal, Instant::now());
        journal.record(0, Instant::now(), Ok(Outcome::Cut), "");
        assert!(journal.try_recover().is_none(), "the last answer was wrong");
        assert_eq!(journal.unwell().len(), 1);
    }

    /// A replica out of two can give right answers while the other one still fails.
    #[test]
    fn right_answers_end_no_fault_while_a_part_is_in_trouble() {
        let journal = journal();
        journal.begin(fault("service-freeze-both"));
        journal.lift();
        journal.parts(false);
        all_good(&journal, Instant::now());
        assert!(journal.try_recover().is_none(), "a part is in trouble");
        journal.parts(true);
        assert!(journal.try_recover().is_none(), "all answers are to requests from before");
        all_good(&journal, Instant::now());
        journal.parts(false);
        journal.parts(true);
        assert!(journal.try_recover().is_none(), "a part was in trouble again");
        all_good(&journal, Instant::now());
        assert!(journal.try_recover().is_some());
    }

    #[test]
    fn a_client_that_hangs_through_a_fault_has_starved() {
        let journal = journal();
        let fault = fault("service-freeze-both");
        let before = Instant::now();
        journal.begin(fault);
        all_good(&journal, before);
        journal.notice();
        // What was sent before does not count.
        all_good(&journal, before);
        let starved = journal.starved(fault);
        let filter = journal.kinds().iter().filter(|kind| kind.group == Group::Filter);
        assert_eq!(starved.len(), filter.count(), "{starved:?}");
        all_good(&journal, Instant::now());
        assert!(journal.starved(fault).is_empty());
    }

    #[test]
    fn one_replica_serves_the_requests_that_need_the_service() {
        let journal = journal();
        let fault = fault("service-kill-one");
        journal.begin(fault);
        journal.notice();
        assert_eq!(journal.starved(fault).len(), journal.kinds().len());
        all_good(&journal, Instant::now());
        // The replica that is dead still answers for some.
        journal.record(client(&journal, "large"), Instant::now(), Ok(Outcome::Status(503)), "");
        assert!(journal.starved(fault).is_empty());
    }

    #[test]
    fn a_breach_is_a_breach_during_a_fault_too() {
        let journal = journal();
        journal.begin(fault("service-kill-both"));
        journal.record(client(&journal, "large"), Instant::now(), Err("the wrong cell".to_owned()), "");
        assert_eq!(journal.take_breaches().len(), 1);
    }

    #[test]
    fn a_fault_of_a_cell_harms_its_own_requests_only() {
        let journal = journal();
        journal.begin(fault("cell-dies"));
        journal.record(client(&journal, "json-h2"), Instant::now(), Ok(Outcome::Status(503)), "");
        assert!(journal.take_breaches().is_empty());
        journal.record(client(&journal, "json"), Instant::now(), Ok(Outcome::Status(503)), "");
        assert_eq!(journal.take_breaches().len(), 1);
    }
}
