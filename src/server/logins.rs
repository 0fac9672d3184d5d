//! Who comes in: the token, accounts, and what a failed login costs.

use std::time::Instant;

use beamq_machines::{Role, SessionId, core::Input, session::SessionEvent};

use super::{
    clients::ReplyTo,
    dispatcher::Dispatcher,
    inside::{Dialect, Inside, LoginWish},
    nicos::{Opened, Verdict},
};
use crate::protocol::{
    RpcError,
    request::{Credentials, Login},
    view::LoggedIn,
};
use crate::security::Secret;

/// The name of somebody who logs in with the token and gives none.
const TOKEN_USER: &str = "admin";

impl Dispatcher {
    pub(super) fn log_in(&mut self, to: ReplyTo, login: &Login) {
        let credentials = match login.credentials() {
            Ok(credentials) => credentials,
            Err(error) => return self.answer::<()>(&to, Err(error)),
        };
        let origin = self.origin(to.session);
        let wait = self.settings.throttle.wait(&origin, Instant::now());
        if !wait.is_zero() {
            let error = RpcError::wrong_credentials()
                .with_hint(format!("too many logins failed: try again in {} s", wait.as_secs() + 1));
            return self.answer::<()>(&to, Err(error));
        }
        let wish = LoginWish {
            user: login.user.clone().unwrap_or_else(|| TOKEN_USER.into()),
            client: login.client.clone(),
            bind: login.bind,
            dialect: Dialect::Native,
        };
        match credentials {
            Credentials::Token(token) => {
                let verdict = match self.settings.token.verify(token.as_bytes()) {
                    true => Verdict::Accepted(Role::Admin),
                    false => Verdict::Refused,
                };
                self.password_checked(&to, wish, verdict);
            }
            Credentials::Password { user, password } => {
                self.check_account(to, wish, user.to_owned(), password.to_owned());
            }
        }
    }

    fn check_account(&self, to: ReplyTo, login: LoginWish, user: String, password: String) {
        let accounts = self.settings.accounts.clone();
        let nicos = self.settings.nicos.clone();
        let to_self = self.to_self.clone();
        tokio::spawn(async move {
            let role = accounts.verify(user, Secret::new(password.clone())).await.ok().flatten();
            let verdict = match (role, nicos) {
                (Some(role), _) => Verdict::Accepted(role),
                (None, Some(nicos)) => nicos.verdict(&login, password).await,
                (None, None) => Verdict::Refused,
            };
            to_self.send(Inside::PasswordChecked { to, login, verdict }).ok();
        });
    }

    /// Logs in with what may be the token or the password of an account.
    pub(super) fn log_in_with_either(&mut self, to: ReplyTo, wish: LoginWish, password: String) {
        let wait = self.settings.throttle.wait(&self.origin(to.session), Instant::now());
        if !wait.is_zero() {
            let text = format!("too many logins failed: try again in {} s", wait.as_secs() + 1);
            return self.proxy_answer(&to, Err::<(), _>(text));
        }
        if self.settings.token.verify(password.as_bytes()) {
            return self.password_checked(&to, wish, Verdict::Accepted(Role::Admin));
        }
        self.proxy_hold_back(to.session);
        let user = wish.user.clone();
        self.check_account(to, wish, user, password);
    }

    /// The credentials have been judged.
    pub(super) fn password_checked(&mut self, to: &ReplyTo, login: LoginWish, verdict: Verdict) {
        let dialect = login.dialect;
        self.judged(to, login, verdict);
        if dialect == Dialect::Proxy {
            self.proxy_replied(to.session);
        }
    }

    fn judged(&mut self, to: &ReplyTo, login: LoginWish, verdict: Verdict) {
        match verdict {
            Verdict::Accepted(role) => {
                self.connected(to.session);
                self.let_in(to, login, role, None);
            }
            Verdict::AcceptedByNicos(opened) => {
                self.connected(to.session);
                self.let_in(to, login, opened.role, Some(opened));
            }
            Verdict::Refused => {
                self.connected(to.session);
                self.keep_out(to, &login);
            }
            // Neither right nor wrong: nothing counts as a failed login.
            Verdict::Unknown(why) => match login.dialect {
                Dialect::Native => self.answer::<()>(to, Err(RpcError::unavailable(why))),
                Dialect::Proxy => self.proxy_answer(to, Err::<(), _>(why)),
            },
        }
    }

    fn keep_out(&mut self, to: &ReplyTo, login: &LoginWish) {
        let origin = self.origin(to.session);
        self.settings.throttle.failed(&origin, Instant::now());
        self.audit(to.session, "session.login", "forbidden", None, Some(login.user.as_str().into()));
        match login.dialect {
            Dialect::Native => self.answer::<()>(to, Err(RpcError::wrong_credentials())),
            Dialect::Proxy => {
                self.proxy_answer(to, Err::<(), _>("Invalid username or password!".to_owned()));
            }
        }
        self.turn(Input::Session(to.session, SessionEvent::LoginRefused));
    }

    fn let_in(&mut self, to: &ReplyTo, login: LoginWish, role: Role, nicos: Option<Box<Opened>>) {
        let origin = self.origin(to.session);
        self.settings.throttle.succeeded(&origin);
        let key = match login.bind.then(crate::security::Token::generate).transpose() {
            Ok(key) => key.map(|key| key.expose().to_owned()),
            Err(error) => {
                return self.answer::<()>(to, Err(RpcError::internal_error(error)));
            }
        };
        let user = login.user;
        let accepted = SessionEvent::LoginAccepted { user: user.clone(), role };
        self.turn(Input::Session(to.session, accepted));
        if let Some(client) = self.clients.get_mut(to.session) {
            client.key.clone_from(&key);
            client.label = login.client.unwrap_or_default();
            // Events go out in the dialect of the login.
            client.proxy_mask = (login.dialect == Dialect::Proxy).then(std::collections::BTreeSet::new);
            if login.dialect == Dialect::Proxy {
                client.kinds.clear();
            }
        }
        self.link_to_nicos(to.session, nicos, login.dialect);
        self.clients.allow_events(to.session);
        self.audit(to.session, "session.login", "ok", None, None);
        match login.dialect {
            Dialect::Native => {
                self.answer(to, Ok(LoggedIn { session: to.session.to_string(), user, role, key }));
            }
            Dialect::Proxy => self.proxy_answer(to, Ok(serde_json::json!({"user_level": user_level(role)}))),
        }
    }

    fn origin(&self, session: SessionId) -> String {
        self.clients.get(session).map(|client| client.origin.peer.clone()).unwrap_or_default()
    }
}

/// The level that NICOS has for somebody who may do so much.
fn user_level(role: Role) -> u8 {
    match role {
        Role::Viewer => 0,
        Role::User | Role::Scientist => 10,
        Role::Admin => 20,
    }
}
