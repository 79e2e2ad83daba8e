//! A visitor, who logs in and out, rests, looks at what its session holds, changes it, and tries the cookies of
//! sessions that have ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dev::event::Event;
use dev::lambda::Answer;
use tokio::sync::RwLock;
use tokio::time::sleep;

use crate::faults::{about, once_in};
use crate::ledger::Ledger;
use crate::site::{Kind, Site, Violation, body, issued};
use crate::{IDLE, PAUSE};

/// The number of cookies of ended sessions that each visitor remembers.
const ENDED: usize = 200;

/// The owner of sessions, whom several visitors of the account example share.
#[derive(Default)]
pub(crate) struct Owner {
    /// Held alone by a visitor who ends all sessions of the owner.
    turn: RwLock<()>,
    /// How often all sessions were ended, and how often that is in doubt.
    ends: [AtomicU64; 2],
}

pub(crate) struct Visitor {
    site: Site,
    number: u32,
    owner: Arc<Owner>,
    /// The owner's counts when this visitor last looked at them.
    known: [u64; 2],
    current: Option<Current>,
    ended: Vec<String>,
    /// The number of names and texts so far, of which none is used twice.
    told: u64,
    /// When it last asked with its cookie, and when it was last answered.
    asked: Instant,
    seen: Instant,
}

/// The session of the visitor's cookie, as far as the visitor knows.
struct Current {
    cookie: String,
    name: String,
    /// Whether something that ends the session may have been done, or may still be done, or it may have expired.
    doubtful: bool,
    ledger: Ledger,
}

impl Visitor {
    pub(crate) fn new(site: Site, number: u32, owner: &Arc<Owner>) -> Self {
        Self {
            site,
            number,
            owner: Arc::clone(owner),
            known: [0, 0],
            current: None,
            ended: Vec::new(),
            told: 0,
            asked: Instant::now(),
            seen: Instant::now(),
        }
    }

    /// Visits until a check fails, and returns the violation.
    pub(crate) async fn visit_for_ever(mut self) -> Violation {
        let (owner, account) = (Arc::clone(&self.owner), self.site.kind == Kind::Account);
        loop {
            let rests = once_in(300);
            sleep(if rests {
                IDLE + Duration::from_secs(5)
            } else {
                about(PAUSE)
            })
            .await;
            let done = if account && once_in(500) {
                let _alone = owner.turn.write().await;
                self.catch_up();
                self.end_all().await
            } else {
                let _together = owner.turn.read().await;
                self.catch_up();
                self.visit().await
            };
            if let Err(violation) = done {
                let site = if account { "account" } else { "app" };
                return format!("{site}, visitor {}: {violation}", self.number);
            }
        }
    }

    /// Takes into account what happened meanwhile.
    fn catch_up(&mut self) {
        let counts = self.owner.ends.each_ref().map(|count| count.load(Ordering::SeqCst));
        let [ended, doubtful] = [0, 1].map(|n| counts[n] > self.known[n]);
        self.known = counts;
        if let Some(mut current) = self.current.take() {
            if ended || self.asked.elapsed() > IDLE {
                self.bury(current.cookie);
            } else {
                current.doubtful |= doubtful || self.seen.elapsed() > IDLE / 2;
                self.current = Some(current);
            }
        }
    }

    /// Keeps a cookie that must never open a session again.
    fn bury(&mut self, cookie: String) {
        if self.ended.len() == ENDED {
            self.ended.swap_remove(fastrand::usize(..ENDED));
        }
        self.ended.push(cookie);
    }

    async fn visit(&mut self) -> Result<(), Violation> {
        if once_in(8) {
            return self.try_an_ended_one().await;
        }
        match self.current.take() {
            None => self.log_in(None, false).await,
            Some(current) if current.doubtful || once_in(30) => {
                let counts = self.site.kind == Kind::Account && once_in(2);
                self.log_in(Some(current), counts).await
            }
            Some(current) if once_in(60) => self.log_out(current).await,
            Some(mut current) => {
                let done = match self.site.kind {
                    Kind::App => self.look(&current).await,
                    Kind::Account => self.act(&mut current).await,
                };
                self.current = Some(current);
                done
            }
        }
    }

    /// Asks with the cookie of a session that is alive.
    async fn ask(&mut self, event: Event, cookie: &str) -> Result<Option<Answer>, Violation> {
        let answer = self.site.ask(event, Some(cookie)).await?;
        self.asked = Instant::now();
        if let Some(answer) = &answer {
            self.seen = Instant::now();
            let known = answer.status != 409 && answer.cookies.is_empty();
            self.site
                .check(known, format!("{answer:?} to a session that is alive"))?;
        }
        Ok(answer)
    }

    async fn look(&mut self, current: &Current) -> Result<(), Violation> {
        if let Some(page) = self.ask(Event::get("/"), &current.cookie).await? {
            let (who, name) = (self.site.who(&page), &current.name);
            let known = who.as_ref() == Some(name);
            self.site.check(known, format!("{who:?} instead of {name}"))?;
        }
        Ok(())
    }

    /// Does something with the session, and compares the answer with the ledger.
    async fn act(&mut self, current: &mut Current) -> Result<(), Violation> {
        let text = self.text();
        let Current { cookie, ledger, .. } = &mut *current;
        match fastrand::u32(..12) {
            0..=2 => {
                let answer = self.ask(Event::post_form("/visits", &[]), cookie).await?;
                ledger.count(&[answer.is_some()]);
            }
            3 => {
                let both = [(); 2].map(|()| self.site.ask(Event::post_form("/visits", &[]), Some(cookie)));
                let [one, other] = both;
                let (one, other) = tokio::join!(one, other);
                (self.asked, self.seen) = (Instant::now(), Instant::now());
                let answers = [one?, other?];
                let done = answers.iter().flatten().all(|answer| answer.status == 200);
                self.site.check(done, format!("two at once: {answers:?}"))?;
                ledger.count(&answers.map(|answer| answer.is_some()));
            }
            4 | 5 => {
                if let Some(answer) = self.ask(Event::get("/visits"), cookie).await? {
                    let visits = body(&answer)["visits"].as_u64();
                    let holds = ledger.counted(visits);
                    self.site.check(holds, format!("{visits:?} visits, {ledger:?}"))?;
                }
            }
            6 => {
                let set = Event::post_form("/set", &[("name", "v"), ("value", &text)]);
                let done = self.ask(set, cookie).await?;
                ledger.set(text, done.is_some());
            }
            7 | 8 => {
                if let Some(answer) = self.ask(Event::get("/get?name=v"), cookie).await? {
                    let value = body(&answer)["value"].as_str().map(str::to_owned);
                    let holds = ledger.got(value.clone());
                    self.site.check(holds, format!("v = {value:?}, {ledger:?}"))?;
                }
            }
            9 => {
                let done = self.ask(Event::post_form("/flash", &[("text", &text)]), cookie).await?;
                ledger.flash(text, done.is_some());
            }
            10 => match self.ask(Event::get("/flashes"), cookie).await? {
                Some(answer) => {
                    let flashes = body(&answer)["flashes"].as_array().cloned().unwrap_or_default();
                    let texts: Vec<_> = flashes
                        .iter()
                        .map(|flash| flash["text"].as_str().unwrap_or_default().to_owned())
                        .collect();
                    let holds = ledger.shown(&texts);
                    self.site.check(holds, format!("messages {texts:?}, {ledger:?}"))?;
                }
                None => ledger.taken_perhaps(),
            },
            _ => self.look(current).await?,
        }
        Ok(())
    }

    /// Returns a text that no visitor uses twice.
    fn text(&mut self) -> String {
        self.told += 1;
        format!("{}.{}", self.number, self.told)
    }

    /// Logs in, perhaps over a session, and perhaps while another request counts a visit.
    async fn log_in(&mut self, before: Option<Current>, counts: bool) -> Result<(), Violation> {
        let name = match self.site.kind {
            Kind::App => format!("visitor {}", self.text()),
            Kind::Account => ["admin", "alice"][self.number as usize % 2].to_owned(),
        };
        let cookie = before.as_ref().map(|before| before.cookie.clone());
        let count = async {
            match &cookie {
                Some(cookie) if counts => {
                    let count = Event::post_form("/visits", &[]);
                    self.site.ask(count, Some(cookie)).await.map(Some)
                }
                _ => Ok(None),
            }
        };
        let (answer, counted) = tokio::join!(self.site.ask(self.site.login(&name), cookie.as_deref()), count);
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
        self.site.check(
            answer.status == 303 && new.is_some(),
            format!("a login is answered {answer:?}"),
        )?;
        self.seen = Instant::now();
        if let Some(before) = before {
            if before.doubtful {
                ledger.carried_over_perhaps();
            } else {
                ledger.carried_over();
            }
            self.bury(before.cookie);
        }
        self.current = new.map(|cookie| Current {
            cookie,
            name,
            doubtful: false,
            ledger,
        });
        Ok(())
    }

    async fn log_out(&mut self, mut current: Current) -> Result<(), Violation> {
        let answer = self.site.ask(self.site.logout(), Some(&current.cookie)).await?;
        self.asked = Instant::now();
        if let Some(answer) = answer {
            let done = answer.status == 303 && issued(&answer).is_none();
            self.site.check(done, format!("a logout is answered {answer:?}"))?;
            self.bury(current.cookie);
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
        let end_all = Event::post_form("/sessions/end-all", &[]);
        let [ended, doubtful] = &self.owner.ends;
        let count = match self.site.ask(end_all, Some(&current.cookie)).await? {
            Some(answer) if answer.status == 303 => ended,
            // The password was given more than ten minutes ago. Nothing has ended.
            Some(answer) if answer.headers.contains_key("www-confirm") => {
                self.asked = Instant::now();
                self.current = Some(current);
                return Ok(());
            }
            None => doubtful,
            other => return Err(format!("the end of all sessions is answered {other:?}")),
        };
        count.fetch_add(1, Ordering::SeqCst);
        self.current = Some(current);
        Ok(())
    }

    /// Checks that a session that has ended stays ended, or that nobody is logged in without a cookie.
    async fn try_an_ended_one(&mut self) -> Result<(), Violation> {
        let cookie = fastrand::choice(&self.ended).map(String::as_str);
        if let Some(page) = self.site.ask(Event::get("/"), cookie).await? {
            let who = self.site.who(&page);
            self.site
                .check(who.is_none(), format!("a session that had ended is {who:?}'s"))?;
        }
        Ok(())
    }
}
