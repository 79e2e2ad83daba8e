//! A visitor of the account example, who counts, sets a variable, is shown messages once, and logs in and out,
//! sometimes on all devices at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dev::event::Event;
use dev::lambda::Answer;
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::time::sleep;

use crate::IDLE;
use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::site::{Site, Violation, issued};
use crate::visitor::bury;

/// The names of those who have accounts.
const NAMES: [&str; 2] = ["admin", "alice"];

const PASSWORD: &str = "correct horse battery staple";

/// The owners, each of whom is shared by the visitors who are the same person.
#[derive(Clone, Default)]
pub(crate) struct Owners([Arc<Owner>; 2]);

#[derive(Default)]
struct Owner {
    /// Held alone by a visitor who ends all sessions of the owner.
    turn: RwLock<()>,
    /// How often all sessions were ended, and how often that is in doubt.
    ended: AtomicU64,
    doubtful: AtomicU64,
}

pub(crate) struct Visitor {
    site: Site,
    number: u32,
    owner: Arc<Owner>,
    name: &'static str,
    /// The values of `ended` and `doubtful` when this visitor last looked at them.
    known: (u64, u64),
    current: Option<Current>,
    ended: Vec<String>,
    told: u64,
    asked: Instant,
    seen: Instant,
    chance: Chance,
}

struct Current {
    cookie: String,
    /// Whether something that ends the session may have been done, or may still be done.
    doubtful: bool,
    ledger: Ledger,
}

fn json(event: Event) -> Event {
    event.header("accept", "application/json")
}

fn post(path: &str, fields: &[(&str, &str)]) -> Event {
    json(Event::post_form(path, fields))
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

impl Visitor {
    pub(crate) fn new(site: Site, number: u32, owners: Owners, chance: Chance) -> Self {
        let place = usize::try_from(number % 2).unwrap_or_default();
        Self {
            site,
            number,
            owner: Arc::clone(&owners.0[place]),
            name: NAMES[place],
            known: (0, 0),
            current: None,
            ended: Vec::new(),
            told: 0,
            asked: Instant::now(),
            seen: Instant::now(),
            chance,
        }
    }

    /// Visits until a check fails, and returns the violation.
    pub(crate) async fn visit_for_ever(mut self, pause: Duration) -> Violation {
        loop {
            let pause = self.chance.about(pause);
            sleep(pause).await;
            let owner = Arc::clone(&self.owner);
            let done = if self.chance.once_in(500) {
                let _alone = owner.turn.write().await;
                self.catch_up();
                self.end_all().await
            } else {
                let _together = owner.turn.read().await;
                self.catch_up();
                self.visit().await
            };
            if let Err(violation) = done {
                return format!("account, visitor {}: {violation}", self.number);
            }
        }
    }

    /// Takes into account what happened meanwhile.
    fn catch_up(&mut self) {
        let known = [&self.owner.ended, &self.owner.doubtful].map(|times| times.load(Ordering::SeqCst));
        let [ended, doubtful] = [known[0] > self.known.0, known[1] > self.known.1];
        self.known = (known[0], known[1]);
        if let Some(mut current) = self.current.take() {
            if ended || self.asked.elapsed() > IDLE {
                bury(&mut self.ended, current.cookie, &mut self.chance);
            } else {
                current.doubtful |= doubtful || self.seen.elapsed() > IDLE / 2;
                self.current = Some(current);
            }
        }
    }

    async fn visit(&mut self) -> Result<(), Violation> {
        if self.chance.once_in(8) {
            return self.try_an_ended_one().await;
        }
        let Some(mut current) = self.current.take() else {
            return self.log_in(None, false).await;
        };
        if current.doubtful || self.chance.once_in(30) {
            let counts = self.chance.once_in(2);
            return self.log_in(Some(current), counts).await;
        }
        if self.chance.once_in(100) {
            return self.log_out(current).await;
        }
        let done = self.act(&mut current).await;
        self.current = Some(current);
        done
    }

    async fn ask(&mut self, event: Event, cookie: &str) -> Result<Option<Answer>, Violation> {
        let answer = self.site.ask(event, Some(cookie)).await?;
        self.asked = Instant::now();
        if let Some(answer) = &answer {
            self.seen = Instant::now();
            let known = answer.status != 409 && answer.cookies.is_empty();
            self.site
                .check(known, || format!("{answer:?} to a session that is alive"))?;
        }
        Ok(answer)
    }

    /// Does something with a live session, and compares the answer with the ledger.
    async fn act(&mut self, current: &mut Current) -> Result<(), Violation> {
        let Current { cookie, ledger, .. } = current;
        self.told += 1;
        let text = format!("{}.{}", self.number, self.told);
        match self.chance.below(12) {
            0..=2 => {
                let answer = self.ask(post("/visits", &[]), cookie).await?;
                ledger.count(&[answer.is_some()]);
            }
            3 => {
                let both = [post("/visits", &[]), post("/visits", &[])];
                let [one, other] = both.map(|event| self.site.ask(event, Some(cookie)));
                let (one, other) = tokio::join!(one, other);
                (self.asked, self.seen) = (Instant::now(), Instant::now());
                let answers = [one?, other?];
                let done = answers.iter().flatten().all(|answer| answer.status == 200);
                self.site.check(done, || format!("two at once: {answers:?}"))?;
                ledger.count(&answers.map(|answer| answer.is_some()));
            }
            4 | 5 => {
                if let Some(answer) = self.ask(json(Event::get("/visits")), cookie).await? {
                    let visits = body(&answer)["visits"].as_u64();
                    let holds = ledger.counted(visits);
                    self.site.check(holds, || format!("{visits:?} visits, {ledger:?}"))?;
                }
            }
            6 => {
                let done = self
                    .ask(post("/set", &[("name", "v"), ("value", &text)]), cookie)
                    .await?;
                ledger.set(text, done.is_some());
            }
            7 | 8 => {
                if let Some(answer) = self.ask(json(Event::get("/get?name=v")), cookie).await? {
                    let value = body(&answer)["value"].as_str().map(str::to_owned);
                    let holds = ledger.got(value.clone());
                    self.site.check(holds, || format!("v = {value:?}, {ledger:?}"))?;
                }
            }
            9 => {
                let done = self.ask(post("/flash", &[("text", &text)]), cookie).await?;
                ledger.flash(text, done.is_some());
            }
            10 => match self.ask(json(Event::get("/flashes")), cookie).await? {
                Some(answer) => {
                    let texts: Vec<String> =
                        serde_json::from_value(body(&answer)["flashes"].clone()).unwrap_or_default();
                    let holds = ledger.shown(&texts);
                    self.site.check(holds, || format!("messages {texts:?}, {ledger:?}"))?;
                }
                None => ledger.taken_perhaps(),
            },
            _ => {
                if let Some(answer) = self.ask(json(Event::get("/")), cookie).await? {
                    let whose = body(&answer)["username"].clone();
                    self.site
                        .check(whose == self.name, || format!("{whose} instead of {}", self.name))?;
                }
            }
        }
        Ok(())
    }

    /// Logs in, perhaps over a session, and perhaps while another request counts a visit.
    async fn log_in(&mut self, before: Option<Current>, counts: bool) -> Result<(), Violation> {
        let login = post("/login", &[("username", self.name), ("password", PASSWORD)]);
        let cookie = before.as_ref().map(|before| before.cookie.clone());
        let count = async {
            match &cookie {
                Some(cookie) if counts => self.site.ask(post("/visits", &[]), Some(cookie)).await.map(Some),
                _ => Ok(None),
            }
        };
        let (answer, counted) = tokio::join!(self.site.ask(login, cookie.as_deref()), count);
        self.asked = Instant::now();
        let (answer, counted) = (answer?, counted?);
        let mut ledger = before.as_ref().map(|before| before.ledger.clone()).unwrap_or_default();
        if let Some(counted) = counted {
            // A visit that found its session ended is not counted.
            let refused = counted.as_ref().is_some_and(|answer| answer.status == 409);
            if !refused {
                ledger.count(&[counted.is_some()]);
            }
        }
        let Some(answer) = answer.filter(|answer| answer.status != 409) else {
            self.current = before.map(|before| Current {
                doubtful: true,
                ledger,
                ..before
            });
            return Ok(());
        };
        let new = issued(&answer);
        self.site.check(answer.status == 303 && new.is_some(), || {
            format!("a login is answered {answer:?}")
        })?;
        self.seen = Instant::now();
        if let Some(before) = before {
            if before.doubtful {
                ledger.carried_over_perhaps();
            } else {
                ledger.carried_over();
            }
            bury(&mut self.ended, before.cookie, &mut self.chance);
        }
        self.current = new.map(|cookie| Current {
            cookie,
            doubtful: false,
            ledger,
        });
        Ok(())
    }

    async fn log_out(&mut self, mut current: Current) -> Result<(), Violation> {
        let answer = self.site.ask(post("/logout", &[]), Some(&current.cookie)).await?;
        self.asked = Instant::now();
        if let Some(answer) = answer {
            let done = answer.status == 303 && issued(&answer).is_none();
            self.site.check(done, || format!("a logout is answered {answer:?}"))?;
            bury(&mut self.ended, current.cookie, &mut self.chance);
        } else {
            current.doubtful = true;
            self.current = Some(current);
        }
        Ok(())
    }

    /// Logs out on all devices. No other visitor of this owner is under way.
    async fn end_all(&mut self) -> Result<(), Violation> {
        let Some(current) = self.current.take().filter(|current| !current.doubtful) else {
            return Ok(());
        };
        let answer = self
            .site
            .ask(post("/sessions/end-all", &[]), Some(&current.cookie))
            .await?;
        let times = match answer {
            Some(answer) if answer.status == 303 => &self.owner.ended,
            // The password was given more than ten minutes ago. Nothing has ended.
            Some(answer) if answer.headers.contains_key("www-confirm") => {
                self.asked = Instant::now();
                self.current = Some(current);
                return Ok(());
            }
            None => &self.owner.doubtful,
            other => return Err(format!("the end of all sessions is answered {other:?}")),
        };
        times.fetch_add(1, Ordering::SeqCst);
        self.current = Some(current);
        Ok(())
    }

    /// Checks that a session that has ended stays ended.
    async fn try_an_ended_one(&mut self) -> Result<(), Violation> {
        let Ok(count @ 1..) = u64::try_from(self.ended.len()) else {
            return Ok(());
        };
        let place = usize::try_from(self.chance.below(count)).unwrap_or_default();
        let cookie = self.ended[place].clone();
        let event = json(Event::get("/"));
        if let Some(answer) = self.site.ask(event, Some(&cookie)).await? {
            let whose = body(&answer)["username"].clone();
            self.site.check(whose == Value::Null, || {
                format!("a session that had ended is {whose}'s")
            })?;
        }
        Ok(())
    }
}
