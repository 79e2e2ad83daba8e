//! What a login and a list cost as an owner has more sessions.

use dev::event::Event;
use serde_json::{Value, json};

use crate::artifact::Artifacts;
use crate::rounds::measure;
use crate::routes::cookie_of;
use crate::sandbox::{Sandbox, bytes};
use crate::world::World;
use crate::{Failure, say};

const SESSIONS: [usize; 3] = [1, 100, 1_000];
const REQUESTS: usize = 20;

/// Measures the account example for each number of sessions. Its login hashes a password, so only the bytes that are
/// sent are shown of it.
pub(crate) async fn run(artifacts: &Artifacts, world: &World) -> Result<Vec<Value>, Failure> {
    let start = async |endpoint| Sandbox::start(&artifacts.account, &world.environment(endpoint)).await;
    let direct = start(&world.plain).await?;
    let through_counter = start(&world.counter.endpoint).await?;
    let fields = [("username", "alice"), ("password", "correct horse battery staple")];
    let login = bytes(Event::post_form("/login", &fields));
    let mut lines = Vec::new();
    let mut logins = 0;
    for sessions in SESSIONS {
        say(&format!("{sessions} sessions of one owner"));
        for _ in logins + 1..sessions {
            direct.invoke(&login).await?;
        }
        let before = world.counter.traffic();
        let cookie = cookie_of(&through_counter.invoke(&login).await?.0)?;
        let of_login = world.counter.traffic() - before;
        logins = sessions;

        let list = Event::get("/sessions")
            .header("accept", "application/json")
            .cookie(&cookie);
        let list = bytes(list);
        let before = world.counter.traffic();
        let (answer, _) = through_counter.invoke(&list).await?;
        let of_list = world.counter.traffic() - before;
        let listed: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
        let listed = listed["sessions"].as_array().map_or(0, Vec::len);
        if listed != sessions {
            return Err(format!("{listed} sessions are listed, not {sessions}").into());
        }
        measure(&direct, &list, 3).await?;
        let (_, cpu) = measure(&direct, &list, REQUESTS).await?;
        lines.push(json!({
            "sessions": sessions,
            "login_calls": of_login.calls,
            "login_bytes_sent_received": (of_login.sent, of_login.received),
            "list_calls": of_list.calls,
            "list_bytes_sent_received": (of_list.sent, of_list.received),
            "list_cpu_us": (cpu.as_secs_f64() * 1e6 / REQUESTS as f64).round(),
        }));
    }
    Ok(lines)
}
