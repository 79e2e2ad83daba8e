//! Each write of the users' table fails in each way, and requests that change one user overtake each other.

use dev::lambda::Answer;
use dev::proxy::{Call, Fault, Gate};
use dev::visitor::{Visitor, assert_redirect, assert_refused};

use crate::authenticator::Device;
use crate::site::{Site, USERS, account, add, begin, codes, confirm, log_in, remove};

const UNAVAILABLE: &str = "cannot be done at the moment";

fn is_write(call: &Call) -> bool {
    call.operation == "PutItem" && call.request["TableName"] == USERS
}

/// Spoils every attempt of each write of a user, until something else is planned.
fn spoil(site: &Site, fault: Fault) {
    let rule = move |call: &Call| if is_write(call) { fault.clone() } else { Fault::Pass };
    site.tables.proxy.rule(rule);
}

/// Spoils only the first attempt of each write of a user.
fn spoil_once(site: &Site, fault: Fault) {
    let rule = move |call: &Call| {
        if is_write(call) && call.attempt == 1 {
            fault.clone()
        } else {
            Fault::Pass
        }
    };
    site.tables.proxy.rule(rule);
}

/// Holds the next write of a user.
fn hold(site: &Site) -> Gate {
    let (gate, mut once) = (Gate::new(), false);
    let held = gate.clone();
    site.tables.proxy.rule(move |call| {
        if is_write(call) && !once {
            once = true;
            return Fault::Hold(held.clone());
        }
        Fault::Pass
    });
    gate
}

/// What writes a user.
#[derive(Clone, Copy, Debug)]
enum Step {
    SignUp,
    LogIn,
    Confirm,
    Add,
    Remove,
    Codes,
    Recover,
    Password,
}

const STEPS: [Step; 8] = [
    Step::SignUp,
    Step::LogIn,
    Step::Confirm,
    Step::Add,
    Step::Remove,
    Step::Codes,
    Step::Recover,
    Step::Password,
];

/// Somebody with two passkeys and recovery codes, who is about to do something.
struct Scene {
    site: Site,
    alice: Visitor,
    device: Device,
    second: Device,
    code: String,
    number: String,
}

impl Scene {
    async fn new() -> Self {
        let site = Site::new().await;
        let (mut alice, device) = site.user("alice").await;
        let mut second = Device::new();
        assert_redirect(&add(&mut alice, &mut second, "a key").await, "/account");
        account(&mut alice).await;
        let code = codes(&mut alice).await.remove(0);
        let number = site.number().await;
        Self {
            site,
            alice,
            device,
            second,
            code,
            number,
        }
    }

    async fn perform(&mut self, step: Step) -> Answer {
        match step {
            Step::SignUp => {
                let mut visitor = self.site.visitor();
                let options = begin(&mut visitor, "/signup/begin", &[("name", "bob")]).await;
                visitor
                    .post("/signup", &[("credential", &Device::new().create(&options))])
                    .await
            }
            Step::LogIn => log_in(&mut self.site.visitor(), &mut self.device).await,
            Step::Confirm => confirm(&mut self.alice, &mut self.device).await,
            Step::Add => add(&mut self.alice, &mut Device::new(), "another").await,
            Step::Remove => remove(&mut self.alice, &self.second).await,
            Step::Codes => self.alice.post("/codes", &[]).await,
            Step::Recover => {
                let form = [("account", self.number.as_str()), ("secret", self.code.as_str())];
                self.site.visitor().post("/login/recovery", &form).await
            }
            Step::Password => {
                let form = [("password", "correct horse battery staple")];
                self.alice.post("/password", &form).await
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_does_not_arrive_changes_nothing_and_works_when_it_is_repeated() {
    for step in STEPS {
        let mut scene = Scene::new().await;
        let before = scene.site.users().await;
        for fault in [Fault::DropCall, Fault::Error(500, "InternalServerError")] {
            spoil(&scene.site, fault);
            let answer = scene.perform(step).await;
            assert_refused(&answer, 503, UNAVAILABLE);
            assert_eq!(scene.site.users().await, before, "{step:?}");
        }
        scene.site.tables.proxy.pass_everything();
        let answer = scene.perform(step).await;
        assert!([200, 303].contains(&answer.status), "{step:?}: {answer:?}");
        assert_ne!(scene.site.users().await, before, "{step:?}");
    }
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_repeated_and_done_once() {
    for step in STEPS {
        let mut scene = Scene::new().await;
        spoil_once(&scene.site, Fault::DropReply);
        let answer = scene.perform(step).await;
        assert!([200, 303].contains(&answer.status), "{step:?}: {answer:?}");
        let users = scene.site.users().await;
        let alice = users.iter().find(|user| user["name"] == "alice").expect("alice");
        let counts = ["keys", "codes"].map(|list| alice[list].as_array().expect("a list").len());
        let expected = match step {
            Step::Add => [3, 8],
            Step::Remove => [1, 8],
            Step::Recover => [2, 7],
            _ => [2, 8],
        };
        assert_eq!(counts, expected, "{step:?}");
    }
}

#[tokio::test]
async fn a_write_of_which_no_reply_comes_logs_nobody_in_and_uses_its_code_up() {
    for step in [Step::SignUp, Step::LogIn, Step::Recover] {
        let mut scene = Scene::new().await;
        spoil(&scene.site, Fault::DropReply);
        assert_refused(&scene.perform(step).await, 503, UNAVAILABLE);
        scene.site.tables.proxy.pass_everything();
        let answer = scene.perform(step).await;
        match step {
            Step::Recover => assert_refused(&answer, 403, "The number of the account is wrong"),
            _ => assert_redirect(&answer, "/"),
        }
    }
}

#[tokio::test]
async fn a_login_that_overtakes_a_registration_is_kept_and_so_is_the_registration() {
    let mut scene = Scene::new().await;
    let gate = hold(&scene.site);
    let mut third = Device::new();
    let overtaking = async {
        gate.arrived().await;
        let mut browser = scene.site.visitor();
        let answer = log_in(&mut browser, &mut scene.device).await;
        gate.release();
        answer
    };
    let (added, entered) = tokio::join!(add(&mut scene.alice, &mut third, "a third"), overtaking);
    assert_redirect(&entered, "/");
    assert_redirect(&added, "/account");
    assert_eq!(scene.site.counters().await, [1, 0, 0]);
    // The counter of before would let a copy in.
    scene.device.counter = 0;
    let refused = log_in(&mut scene.site.visitor(), &mut scene.device).await;
    assert_refused(&refused, 403, "This passkey cannot be used here.");
    assert_redirect(&log_in(&mut scene.site.visitor(), &mut third).await, "/");
}

#[tokio::test]
async fn a_removal_that_overtakes_a_login_with_the_removed_passkey_leaves_nobody_logged_in() {
    // The first passkey's login writes its counter, and this write is held. One without a counter writes nothing, and
    // what is held is the session's write.
    for counts in [true, false] {
        let mut scene = Scene::new().await;
        scene.second.counts = counts;
        let mut finder = scene.site.visitor();
        let options = begin(&mut finder, "/login/begin", &[]).await;
        let credential = scene.second.get(&options);
        let gate = Gate::new();
        let (held, mut once) = (gate.clone(), false);
        scene.site.tables.proxy.rule(move |call| {
            // The login's session is a new record.
            let is_it = if counts {
                is_write(call)
            } else {
                call.operation == "PutItem"
            };
            if is_it && !once {
                once = true;
                return Fault::Hold(held.clone());
            }
            Fault::Pass
        });
        let removing = async {
            gate.arrived().await;
            let answer = remove(&mut scene.alice, &scene.second).await;
            gate.release();
            answer
        };
        let form = [("credential", credential.as_str())];
        let (entered, removed) = tokio::join!(finder.post("/login", &form), removing);
        assert_redirect(&removed, "/account");
        if counts {
            assert_refused(&entered, 403, "This passkey cannot be used here.");
        } else {
            assert_redirect(&entered, "/");
        }
        let page = finder.get("/").await;
        assert!(page.body.contains("You are not logged in"), "{page:?}");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_saved_is_answered_with_503() {
    let mut scene = Scene::new().await;
    scene.site.tables.proxy.rule(|call| {
        if call.request["TableName"] == USERS {
            Fault::Pass
        } else {
            Fault::Error(500, "InternalServerError")
        }
    });
    for path in ["/login/begin", "/signup/begin"] {
        let answer = scene.site.visitor().post(path, &[("name", "bob")]).await;
        assert_refused(&answer, 503, UNAVAILABLE);
    }
    scene.site.tables.proxy.pass_everything();
    assert_redirect(&log_in(&mut scene.site.visitor(), &mut scene.device).await, "/");
}

#[tokio::test]
async fn a_users_table_that_cannot_be_read_logs_nobody_out() {
    let mut scene = Scene::new().await;
    scene.site.tables.proxy.rule(|call| {
        if call.request["TableName"] == USERS {
            Fault::Error(500, "InternalServerError")
        } else {
            Fault::Pass
        }
    });
    assert_refused(&scene.alice.get("/").await, 503, UNAVAILABLE);
    let refused = log_in(&mut scene.site.visitor(), &mut scene.device).await;
    assert_refused(&refused, 503, UNAVAILABLE);
    scene.site.tables.proxy.pass_everything();
    assert_eq!(scene.alice.who().await.as_deref(), Some("alice"));
}
