//! The login form, and what every page has.

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response, Result};
use axum::routing::{get, post};
use lambda_session::{Auth, Session, SessionError, local_path};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use crate::people::People;

pub(crate) fn routes() -> Router<People> {
    Router::new()
        .route("/login", get(form).post(log_in))
        .route("/logout", post(log_out))
}

/// The form's fields. A missing one counts as empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    name: String,
    password: String,
    next: String,
}

async fn form(Query(login): Query<Login>) -> Html<String> {
    login_page(&login, None)
}

async fn log_in(auth: Auth<People>, State(people): State<People>, Form(login): Form<Login>) -> Result<Response> {
    let Some(person) = people.with_password(&login.name, login.password.clone()).await? else {
        let page = login_page(&login, Some("The name or the password is wrong."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    let session = auth.login(&person).await?;
    session.flash(&format!("You are logged in as {}.", person.name))?;
    Ok(Redirect::to(local_path(&login.next).unwrap_or("/")).into_response())
}

async fn log_out(auth: Auth<People>) -> Redirect {
    auth.logout();
    Redirect::to("/login")
}

fn login_page(login: &Login, mistake: Option<&str>) -> Html<String> {
    framed(&html! {
        @if let Some(mistake) = mistake { p role="alert" { (mistake) } }
        form method="post" action="/login" {
            input type="hidden" name="next" value=(login.next);
            p { label { "Name " input #name name="name" value=(login.name) required autocomplete="username"; } }
            p {
                label {
                    "Password "
                    input #password name="password" type="password" required autocomplete="current-password";
                }
            }
            button { "Log in" }
        }
    })
}

/// The page of somebody who is logged in, with the messages for this visitor.
pub(crate) async fn page(session: &Session, content: Markup) -> Result<Html<String>, SessionError> {
    let flashes = session.take_flashes().await?;
    Ok(framed(&html! {
        @for flash in &flashes { p role="status" { (flash) } }
        (content)
        form method="post" action="/logout" { button { "Log out" } }
    }))
}

fn framed(content: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" { head { title { (env!("CARGO_CRATE_NAME")) } } body { (content) } }
    };
    Html(page.into_string())
}
