//! A site of small views over `SessionLayer`, as a user of the library would build it, and visitors with cookies.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use lambda_session::{
    Flash, Keys, LazySession, Lifetime, ResponseBody, Session, SessionError, SessionErrorKind, SessionLayer,
    SessionLayerBuilder, SessionService, Sessions, Store, ValueError,
};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::SECRET_KEY;

pub(crate) const IDLE: u64 = 1_800;
pub(crate) const LIFETIME: u64 = 43_200;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_800_000_000) };
}

/// Returns the time on this thread. Each test has its own time, which only `wait` advances.
pub(crate) fn now() -> u64 {
    NOW.get()
}

/// Lets this many seconds pass.
pub(crate) fn wait(seconds: u64) {
    NOW.set(NOW.get() + seconds);
}

/// One instance of the function. Clones are the same instance.
#[derive(Clone)]
pub(crate) struct Site(SessionService<Views>);

type Views = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `name=value` if a cookie is set; nothing follows the `=` if it is cleared.
    pub(crate) cookie: Option<String>,
    /// The variables as the view found them, as `name=value` in order.
    pub(crate) body: String,
    /// The cookie's `Max-Age`, if it has one.
    pub(crate) max_age: Option<u64>,
    /// The number of store calls, as the layer counts them.
    pub(crate) store_calls: Option<u32>,
    /// Why the session could not be loaded, used or saved.
    pub(crate) failed: Option<SessionErrorKind>,
    retry_after: bool,
}

impl Site {
    pub(crate) fn new(store: impl Store) -> Self {
        Self::with(store, now, keys())
    }

    pub(crate) fn with(store: impl Store, clock: impl Fn() -> u64 + Send + Sync + 'static, keys: Keys) -> Self {
        Self::of(layer(store, keys).clock(clock))
    }

    /// Creates a site with this layer.
    pub(crate) fn of(layer: SessionLayerBuilder) -> Self {
        let layer = layer.build().expect("a good configuration");
        Self(layer.layer(BoxCloneSyncService::new(service_fn(respond))))
    }

    /// Makes a visit, with a cookie or without. The path names the view, and the query its argument.
    pub(crate) fn visit(&self, path: &str, cookie: Option<&str>) -> impl Future<Output = Answer> + Send + use<> {
        self.ask(Request::builder().uri(path), cookie)
    }

    /// Makes a visit by this request.
    pub(crate) fn ask(
        &self,
        mut request: http::request::Builder,
        cookie: Option<&str>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(String::new()).expect("a request");
        let answered = self.0.clone().oneshot(request);
        async move {
            let Ok(response) = answered.await;
            Answer::new(response.map(ResponseBody::into_inner))
        }
    }

    /// Returns the whole answer to a request.
    pub(crate) async fn answer(&self, request: Request<String>) -> Response<String> {
        let Ok(response) = self.0.clone().oneshot(request).await;
        response.map(ResponseBody::into_inner)
    }

    /// Logs in, and returns the cookie.
    pub(crate) async fn login(&self, name: &str, cookie: Option<&str>) -> String {
        self.visit(&format!("/login?{name}"), cookie).await.issued()
    }

    /// Starts a visit that goes on while others are made.
    pub(crate) fn start(&self, path: &str, cookie: Option<&str>) -> tokio::task::JoinHandle<Answer> {
        tokio::spawn(self.visit(path, cookie))
    }

    /// Returns the variables that a visitor with this cookie finds.
    pub(crate) async fn view(&self, cookie: &str) -> String {
        let answer = self.visit("/", Some(cookie)).await;
        assert_eq!((answer.status, &answer.cookie), (200, &None), "{answer:?}");
        answer.body
    }
}

impl Answer {
    fn new(response: Response<String>) -> Self {
        let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
        assert!(cookies.len() <= 1, "{cookies:?}");
        let sent = cookies.first().map(|value| value.to_str().expect("a cookie in ASCII"));
        let cookie = sent.map(|sent| sent.split(';').next().unwrap_or_default().to_owned());
        let max_age = sent.and_then(|sent| sent.split("; Max-Age=").nth(1)?.parse().ok());
        Self {
            status: response.status().as_u16(),
            cookie,
            max_age,
            store_calls: response.extensions().get().map(LazySession::store_calls),
            failed: response.extensions().get().map(SessionError::kind),
            retry_after: response.headers().contains_key(header::RETRY_AFTER),
            body: response.into_body(),
        }
    }

    /// Returns the cookie that a successful login issues.
    #[track_caller]
    pub(crate) fn issued(self) -> String {
        let cookie = self.cookie.clone().filter(|cookie| !cookie.ends_with('='));
        assert_eq!(self.status, 200, "{self:?}");
        cookie.unwrap_or_else(|| panic!("no cookie: {self:?}"))
    }

    /// Checks that the visit succeeded, and left the cookie alone.
    #[track_caller]
    pub(crate) fn assert_done(&self) {
        assert_eq!((self.status, &self.cookie), (200, &None), "{self:?}");
    }

    /// Checks that the visit was refused with this status, and left the cookie alone. Only a 503 has `Retry-After`.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16) {
        assert_eq!(self.retry_after, status == 503, "{self:?}");
        assert_eq!((self.status, &self.cookie), (status, &None), "{self:?}");
    }

    /// Checks that the visit ended the session, and cleared the cookie.
    #[track_caller]
    pub(crate) fn assert_logged_out(&self) {
        let cleared = self.cookie.as_ref().is_some_and(|cookie| cookie.ends_with('='));
        assert!(self.status == 200 && cleared, "{self:?}");
    }
}

/// Whether this run seals all variables, as `TEST_SEALED=true` asks for. The same tests hold.
pub(crate) fn sealed() -> bool {
    std::env::var_os("TEST_SEALED").is_some_and(|value| value == "true")
}

/// A layer with the timeouts of these tests.
pub(crate) fn layer(store: impl Store, keys: Keys) -> SessionLayerBuilder {
    SessionLayer::builder(store, keys)
        .sealed(sealed())
        .idle_timeout(Duration::from_secs(IDLE))
        .lifetime(Duration::from_secs(LIFETIME))
}

pub(crate) fn keys() -> Keys {
    Keys::new(SECRET_KEY.as_bytes()).expect("a long key")
}

async fn respond(request: Request<String>) -> Result<Response<String>, Infallible> {
    Ok(match view(&request).await {
        Ok(body) => Response::new(body),
        Err(Refusal::Session(error)) => error.into_response(),
        Err(Refusal::Value) => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            response
        }
    })
}

/// Why a view did not do what it was asked to.
enum Refusal {
    Session(SessionError),
    Value,
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<ValueError> for Refusal {
    fn from(_: ValueError) -> Self {
        Self::Value
    }
}

async fn view(request: &Request<String>) -> Result<String, Refusal> {
    let lazy = LazySession::of(request)?;
    if request.uri().path() == "/logout" {
        lazy.end();
        return Ok(String::new());
    }
    if request.uri().path() == "/peek" {
        return Ok(shown(&lazy.peek().await?));
    }
    if request.uri().path() == "/absence" {
        let absence = lazy.absence().await?;
        return Ok(absence.map_or_else(String::new, |absence| format!("{absence:?}")));
    }
    let session = lazy.load().await?;
    let found = shown(&session);
    let query = request.uri().query().unwrap_or_default();
    if let Some(told) = tell(request, &session, query).await? {
        return Ok(told);
    }
    act(&session, request.uri().path(), query)?;
    Ok(found)
}

/// The views that ask the store while they run, and answer with what it told them.
async fn tell(request: &Request<String>, session: &Session, query: &str) -> Result<Option<String>, Refusal> {
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    let told = match request.uri().path() {
        "/flashes" => texts(&session.take_flashes().await?),
        "/take" => session.take::<String>(name).await?.unwrap_or_default(),
        "/confirmed" => session
            .confirmed(name)
            .map_or_else(String::new, |time| time.to_string()),
        "/set-and-take-it" => {
            session.insert(name, value)?;
            session.take::<String>(name).await?.unwrap_or_default()
        }
        "/save" => {
            session.insert(name, value)?;
            session.save().await?;
            String::new()
        }
        // Changes the session after a save in the middle.
        "/save-and-set" => {
            session.insert(name, value)?;
            session.save().await?;
            session.increment("after", 1)?;
            shown(session)
        }
        // Goes on although its save failed.
        "/save-and-ignore" => {
            session.insert(name, value)?;
            let saved = session.save().await;
            let late = session.insert("after", "late");
            format!("{} {}", saved.is_ok(), late.is_ok())
        }
        "/end-log-in-and-save" => {
            session.end();
            session.login(name)?;
            session.save().await?;
            session.insert("after", "saved")?;
            session.owner().unwrap_or_default()
        }
        "/login-and-save" => {
            session.login(name)?;
            session.save().await?;
            session.handle().expect("it is saved")
        }
        // Changes the session after a save that left nothing.
        "/clear-save-and-set" => {
            session.clear();
            session.save().await?;
            session.insert(name, value)?;
            String::new()
        }
        "/save-and-end" => {
            session.insert(name, value)?;
            session.save().await?;
            session.end();
            String::new()
        }
        "/handle" => format!(
            "{:?} {:?} {:?}",
            session.handle(),
            session.created_at(),
            session.expires_at()
        ),
        "/end-and-times" => {
            session.end();
            format!("{:?} {:?}", session.created_at(), session.expires_at())
        }
        "/bound" => session.is_bound().to_string(),
        "/owner" => session.owner().unwrap_or_default(),
        "/sessions" => {
            let listed = Sessions::of(request)?.list(name).await?;
            let lines = listed.into_iter().map(|listed| {
                let label = listed.label.unwrap_or_default();
                let current = if listed.current { "*" } else { "" };
                format!("{label}{current} {} {}", listed.handle, listed.last_seen)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        "/end-one" => Sessions::of(request)?.end(name, value).await?.to_string(),
        "/end-all" => {
            Sessions::of(request)?.end_all(name).await?;
            String::new()
        }
        "/end-all-and-log-in" => {
            session.login(name)?;
            Sessions::of(request)?.end_all(name).await?;
            String::new()
        }
        // Writes a value that changes nothing, and answers with the messages that it took.
        "/set-and-take" => {
            session.insert(name, value)?;
            texts(&session.take_flashes().await?)
        }
        "/end-others" => {
            Sessions::of(request)?.end_others(session).await?;
            String::new()
        }
        _ => return Ok(None),
    };
    Ok(Some(told))
}

fn shown(session: &Session) -> String {
    let pairs = session.keys().into_iter().map(|name| {
        let text = session.get::<String>(&name).ok().flatten();
        let number = || {
            session
                .get::<i64>(&name)
                .ok()
                .flatten()
                .map(|number| number.to_string())
        };
        let value = text.or_else(number).unwrap_or_default();
        format!("{name}={value}")
    });
    pairs.collect::<Vec<_>>().join(" ")
}

fn act(session: &Session, path: &str, query: &str) -> Result<(), Refusal> {
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    match path {
        "/login" => {
            if session.get::<String>("username")?.is_none_or(|current| current != name) {
                session.clear();
            }
            session.renew();
            session.insert("username", name)?;
        }
        // Renews the session without a login, as for another change of privilege.
        "/renew" => {
            session.renew();
            if !name.is_empty() {
                session.insert(name, value)?;
            }
        }
        "/renew-and-pop" => {
            session.renew();
            drop(session.pop::<String>(name)?);
        }
        "/set" => session.insert(name, value)?,
        "/increment" => drop(session.increment(name, 1)?),
        "/both" => {
            for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                session.insert(name, value)?;
            }
        }
        "/fill" => session.insert(name, "x".repeat(value.parse().unwrap_or_default()))?,
        "/many" => {
            for n in 0..name.parse().unwrap_or_default() {
                session.insert(&format!("variable number {n}"), value)?;
            }
        }
        "/pop" => drop(session.pop::<String>(name)?),
        "/setdefault" => drop(session.get_or_insert_with(name, || value.to_owned())?),
        "/discard" => drop(session.get_or_discard::<bool>(name)),
        "/discard-and-count" => {
            let _ = session.get_or_discard::<bool>(name);
            session.increment(name, 1)?;
        }
        "/clear" => session.clear(),
        "/clear-and-set" => {
            session.clear();
            session.insert(name, value)?;
        }
        "/log-in" if value.is_empty() => session.login(name)?,
        "/log-in" => session.login_from(name, value)?,
        "/remember" => {
            session.remember(Duration::from_secs(value.parse().unwrap_or_default()));
            session.login(name)?;
        }
        // Seconds without a request, and at most.
        "/lifetime" | "/lasting" => {
            let seconds = |text: &str| Duration::from_secs(text.parse().unwrap_or_default());
            let lifetime = Lifetime::default().idle(seconds(name)).at_most(seconds(value));
            session.lifetime(match path {
                "/lasting" => lifetime.beyond_browser(),
                _ => lifetime,
            });
            session.insert("a", 1)?;
        }
        "/layers-lifetime" => session.lifetime(Lifetime::default()),
        "/confirm" => session.confirm(name)?,
        "/flash" => session.flash(name)?,
        "/goodbye" => {
            session.end();
            session.flash(name)?;
        }
        "/end" => session.end(),
        // Logs out, says so, and logs somebody else in.
        "/end-and-log-in" => {
            session.insert("early", "lost")?;
            session.end();
            session.flash("goodbye")?;
            session.login(name)?;
            session.insert("theme", "dark")?;
        }
        "/set-and-log-in" => {
            session.insert("theme", value)?;
            session.increment("logins", 1)?;
            session.login(name)?;
        }
        // Takes its time between reading and writing.
        "/slow" => wait(name.parse().unwrap_or_default()),
        "/slow-set" => {
            wait(name.parse().unwrap_or_default());
            session.insert("theme", "dark")?;
        }
        "/slow-renew" => {
            wait(name.parse().unwrap_or_default());
            session.renew();
            session.insert("username", "admin")?;
        }
        _ => {}
    }
    Ok(())
}

/// The messages, separated by commas.
fn texts(flashes: &[Flash]) -> String {
    let texts: Vec<_> = flashes.iter().map(Flash::to_string).collect();
    texts.join(",")
}
