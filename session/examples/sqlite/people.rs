//! The users, in tables of `SQLite` that are in memory, and what they may.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::{Argon2, PasswordVerifier as _};
use axum::http::StatusCode;
use lambda_session::Users;
use rusqlite::{Connection, OptionalExtension as _, Row};
use tokio::task::spawn_blocking;

/// Both passwords are `correct horse battery staple`.
const TABLES: &str = "
create table people (id integer primary key, name text not null unique, hash text not null);
create table members (person integer not null references people (id), team text not null);
create table permissions (team text not null, permission text not null);
insert into people (id, name, hash) values
  (1, 'ferris', '$argon2id$v=19$m=19456,t=2,p=1$fpd7umMP33J5hGaZliMfMA$hYHevSSvc/dB3rZNfP3u8/XfMVXs/jAwHkejO1Q1Teg'),
  (2, 'admin', '$argon2id$v=19$m=19456,t=2,p=1$tMSwYn++bkhE+ugY00clBw$a2bXUuIhFZCTWzOngrCV4Tkt490EZq2pHMX4zmA7q8E');
insert into members values (1, 'users'), (2, 'users'), (2, 'superusers');
insert into permissions values ('users', 'protected.read'), ('superusers', 'restricted.read');
";

/// The hash with which an unknown name's password is compared. No password has this hash.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$fpd7umMP33J5hGaZliMfMA$iYHevSSvc/dB3rZNfP3u8/XfMVXs/jAwHkejO1Q1Teg";

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) hash: String,
}

impl Person {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (id, name, hash) = (row.get("id")?, row.get("name")?, row.get("hash")?);
        Ok(Self { id, name, hash })
    }
}

/// The handle to the tables. Clones are the same one.
#[derive(Clone)]
pub(crate) struct People(Arc<Mutex<Connection>>);

impl People {
    pub(crate) fn new() -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(TABLES)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// The tables, which answer at once: they are in memory, so no other request has to wait.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn with_password(&self, name: &str, password: String) -> Result<Option<Person>, StatusCode> {
        let query = "select * from people where name = ?";
        let found = self.tables().query_row(query, [name], Person::of).optional();
        let person = found.map_err(failed)?;
        // On a thread where it blocks no other request. An unknown name takes as long as a wrong password.
        let verified = spawn_blocking(move || {
            let hash = person.as_ref().map_or(NOBODYS, |person| &person.hash);
            let is_right = Argon2::default().verify_password(password.as_bytes(), hash);
            person.filter(|_| is_right.is_ok())
        });
        verified.await.map_err(failed)
    }
}

impl Users for People {
    type User = Person;
    type Permission = &'static str;
    type Error = rusqlite::Error;

    fn id(&self, person: &Person) -> String {
        person.id.to_string()
    }

    fn stamp(&self, person: &Person) -> String {
        person.hash.clone()
    }

    async fn find(&self, id: &str) -> rusqlite::Result<Option<Person>> {
        let query = "select * from people where id = ?";
        self.tables().query_row(query, [id], Person::of).optional()
    }

    async fn may(&self, person: &Person, permission: &&'static str) -> rusqlite::Result<bool> {
        let query = "select 1 from members join permissions using (team) where person = ? and permission = ?";
        self.tables().prepare_cached(query)?.exists((person.id, permission))
    }
}

pub(crate) fn failed(error: impl Error) -> StatusCode {
    tracing::error!(event = "users failed", "{error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
