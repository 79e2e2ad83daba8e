//! A visitor of the app, who logs in and out, views, rests, and tries cookies of sessions that have ended.

use std::time::{Duration, Instant};

use dev::event::Event;
use tokio::time::sleep;

use crate::IDLE;
use crate::chance::Chance;
use crate::site::{Site, Violation, issued};

/// What the visitor knows about the session of its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Alive,
    /// Something that would end it may have been done, or may still be done, or it may have expired.
    Doubtful,
}

pub(crate) struct Visitor {
    site: Site,
    number: u32,
    logins: u32,
    /// The cookie, the name, and what is known about the session.
    current: Option<(String, String, Session)>,
    ended: Vec<String>,
    /// When it last asked with its cookie, and when it was last answered.
    asked: Instant,
    seen: Instant,
    chance: Chance,
}

/// The number of cookies of ended sessions that each visitor remembers.
pub(crate) const ENDED: usize = 200;

/// Keeps a cookie that must never open a session again.
pub(crate) fn bury(ended: &mut Vec<String>, cookie: String, chance: &mut Chance) {
    if ended.len() == ENDED {
        let place = usize::try_from(chance.below(ENDED as u64)).unwrap_or_default();
        ended.swap_remove(place);
    }
    ended.push(cookie);
}

impl Visitor {
    pub(crate) fn new(site: Site, number: u32, chance: Chance) -> Self {
        Self {
            site,
            number,
            logins: 0,
            current: None,
            ended: Vec::new(),
            asked: Instant::now(),
            seen: Instant::now(),
            chance,
        }
    }

    /// Visits until a check fails, and returns the violation.
    pub(crate) async fn visit_for_ever(mut self, pause: Duration) -> Violation {
        loop {
            let pause = if self.chance.once_in(300) {
                IDLE + Duration::from_secs(5)
            } else {
                self.chance.about(pause)
            };
            sleep(pause).await;
            if let Err(violation) = self.visit().await {
                return format!("app, visitor {}: {violation}", self.number);
            }
        }
    }

    async fn visit(&mut self) -> Result<(), Violation> {
        if let Some((cookie, name, session)) = self.current.take() {
            if self.asked.elapsed() > IDLE {
                bury(&mut self.ended, cookie, &mut self.chance);
            } else {
                let rested = self.seen.elapsed() > IDLE / 2;
                self.current = Some((cookie, name, if rested { Session::Doubtful } else { session }));
            }
        }
        match self.chance.below(20) {
            0..=1 => self.log_in().await,
            2 => self.log_out().await,
            3..=5 => self.try_an_ended_one().await,
            _ => self.look().await,
        }
    }

    async fn look(&mut self) -> Result<(), Violation> {
        let cookie = self.current.as_ref().map(|(cookie, ..)| cookie.clone());
        let answer = self.site.ask(Event::get("/"), cookie.as_deref()).await?;
        self.asked = Instant::now();
        let Some(answer) = answer else { return Ok(()) };
        let anonymous = answer.body.contains("You are not logged in");
        match self.current.take() {
            None => self
                .site
                .check(anonymous, || format!("logged in without a cookie: {answer:?}")),
            Some((cookie, name, session)) => {
                let logged_in = answer.body.contains(&format!("Logged in as {name}"));
                let doubtful = session == Session::Doubtful && anonymous;
                self.site.check(logged_in || doubtful, || {
                    format!("{name}, whose login was answered, finds {answer:?}")
                })?;
                if logged_in {
                    self.seen = Instant::now();
                    self.current = Some((cookie, name, session));
                } else {
                    bury(&mut self.ended, cookie, &mut self.chance);
                }
                Ok(())
            }
        }
    }

    async fn log_in(&mut self) -> Result<(), Violation> {
        self.logins += 1;
        let name = format!("visitor {} {}", self.number, self.logins);
        let form = Event::post_form("/login", &[("username", &name)]);
        let before = self.current.take();
        let cookie = before.as_ref().map(|(cookie, ..)| cookie.as_str());
        let answer = self.site.ask(form, cookie).await?;
        self.asked = Instant::now();
        let Some(answer) = answer.filter(|answer| answer.status != 409) else {
            self.current = before.map(|(cookie, name, _)| (cookie, name, Session::Doubtful));
            return Ok(());
        };
        let new = issued(&answer);
        self.site.check(answer.status == 303 && new.is_some(), || {
            format!("a login is answered {answer:?}")
        })?;
        if let Some((cookie, ..)) = before {
            bury(&mut self.ended, cookie, &mut self.chance);
        }
        self.seen = Instant::now();
        self.current = new.map(|cookie| (cookie, name, Session::Alive));
        Ok(())
    }

    async fn log_out(&mut self) -> Result<(), Violation> {
        let Some((cookie, name, _)) = self.current.take() else {
            return Ok(());
        };
        let event = Event::get("/logout").header("sec-fetch-site", "same-origin");
        match self.site.ask(event, Some(&cookie)).await? {
            Some(answer) => {
                self.site.check(answer.status == 303 && issued(&answer).is_none(), || {
                    format!("a logout is answered {answer:?}")
                })?;
                bury(&mut self.ended, cookie, &mut self.chance);
            }
            None => self.current = Some((cookie, name, Session::Doubtful)),
        }
        self.asked = Instant::now();
        Ok(())
    }

    /// Checks that a session that has ended stays ended.
    async fn try_an_ended_one(&mut self) -> Result<(), Violation> {
        let Ok(count @ 1..) = u64::try_from(self.ended.len()) else {
            return Ok(());
        };
        let place = usize::try_from(self.chance.below(count)).unwrap_or_default();
        let Some(answer) = self.site.ask(Event::get("/"), Some(&self.ended[place])).await? else {
            return Ok(());
        };
        let anonymous = answer.body.contains("You are not logged in");
        self.site
            .check(anonymous, || format!("a session that had ended is alive: {answer:?}"))
    }
}
