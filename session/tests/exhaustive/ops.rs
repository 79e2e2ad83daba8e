//! What the views of the schedules do to their session.

use std::sync::Arc;
use std::time::Duration;

use super::scenario::{IDLE, OWNER, Op, Vars, message, value};
use crate::core::value::{Data, Value};
use crate::session::Session;
use crate::session::flash::{Flash, flashes};
use crate::session::request::RequestSession;
use crate::session::state::{FLASHES, State};

/// Performs the operation through a session handle, as handlers do.
pub(crate) fn act(state: &mut State, op: Op, place: usize) {
    let session = Session(Arc::new(RequestSession::default()));
    *session.state() = std::mem::take(state);
    perform(&session, op, place).expect("what is done is allowed");
    *state = std::mem::take(&mut *session.state());
}

/// Performs what a view does between its load and its answer, without asking the store.
pub(crate) fn perform(session: &Session, op: Op, place: usize) -> Result<(), crate::SessionError> {
    match op {
        Op::View | Op::Logout | Op::EndAll | Op::Take | Op::Bind | Op::BindElsewhere => {}
        Op::Set | Op::SaveAndAdd => session.insert("x", value(place))?,
        Op::Add => drop(session.increment("n", 1)?),
        Op::Pop => {
            session.pop::<u8>("x")?;
        }
        Op::Flash => session.flash(&message(place).to_string())?,
        Op::Ann | Op::Bob => {
            let name = if op == Op::Ann { "ann" } else { "bob" };
            if session.get::<String>("user")?.is_none_or(|current| current != name) {
                session.clear();
            }
            session.renew();
            session.insert("user", name)?;
        }
        Op::Owner => session.login(OWNER)?,
        Op::Renew => session.renew(),
        Op::RenewAndPop => {
            session.renew();
            session.pop::<u8>("x")?;
        }
        Op::Remember => {
            session.remember(Duration::from_secs(5 * IDLE));
            session.insert("user", "ann")?;
        }
        Op::Clear => session.clear(),
        Op::Anew => {
            session.end();
            session.login(OWNER)?;
        }
        Op::Goodbye => {
            session.end();
            session.flash(&message(place).to_string())?;
        }
    }
    Ok(())
}

/// Returns the messages of a request that took `stored` out of the store.
pub(crate) fn take(state: &mut State, stored: Option<Value>) -> u32 {
    let taken = state.take_own(FLASHES, stored).expect("messages");
    digits(&taken.as_ref().map(flashes).unwrap_or_default())
}

pub(crate) fn digits(messages: &[Flash]) -> u32 {
    let digit = |flash: &Flash| flash.text.parse::<u32>().expect("a digit");
    messages.iter().fold(0, |all, flash| all * 10 + digit(flash))
}

pub(crate) fn vars(variables: &Data) -> Vars {
    let mut vars = Vars::default();
    for (name, value) in variables {
        match name.as_str() {
            "user" => vars.user = 1 + u8::from(value.decode::<String>().is_ok_and(|name| name == "bob")),
            "x" => vars.x = value.decode().expect("a number"),
            "n" => vars.n = value.decode().expect("a number"),
            _ => vars.flashes = digits(&flashes(value)),
        }
    }
    vars
}
