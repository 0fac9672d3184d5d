//! The life of a session, as conversations: everything that follows from each input is compared.

mod common;

use common::conversation;

#[test]
fn a_client_comes_logs_in_speaks_and_goes() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > session 7 message
        > session 7 login ann/scientist
            set idle 7 in 86400 s
            cancel login 7
        > +1m session 7 message
            set idle 7 in 86400 s
        > session 7 logout
            cancel idle 7
            close link of session 7
        > session 7 closed
    "#,
    );
}

#[test]
fn a_client_of_the_nicos_engine_waits_for_its_own_connection() {
    conversation(
        r#"
        > session 7 opened connect
            set login 7 in 30 s
        > session 7 message
        > session 7 login ann/scientist
            turned down login_accepted in state connecting: this does not fit the state of the session
        > session 7 connected
        > session 7 login ann/scientist
            set idle 7 in 86400 s
            cancel login 7
    "#,
    );
}

#[test]
fn nobody_logs_in_in_time() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > +30s timer login 7
            cancel login 7
            close link of session 7
        > session 7 message
            turned down message_arrived in state closing: the session is being closed
        > session 7 closed
    "#,
    );
}

#[test]
fn the_time_to_log_in_does_not_begin_anew_with_the_connection() {
    conversation(
        r#"
        > session 7 opened connect
            set login 7 in 30 s
        > +29s session 7 connected
        > +1s timer login 7
            cancel login 7
            close link of session 7
    "#,
    );
}

#[test]
fn five_refused_logins_end_the_session() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > session 7 refused
        > session 7 refused
        > session 7 refused
        > session 7 refused
        > session 7 refused
            cancel login 7
            close link of session 7
        > session 7 login ann/scientist
            turned down login_accepted in state closing: the session is being closed
    "#,
    );
}

#[test]
fn five_refused_logins_end_an_active_session_too() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > session 7 refused
        > session 7 login ann/scientist
            set idle 7 in 86400 s
            cancel login 7
        > session 7 refused
        > session 7 refused
        > session 7 refused
        > session 7 refused
        > session 7 refused
            cancel idle 7
            close link of session 7
    "#,
    );
}

#[test]
fn a_client_logs_in_again_as_somebody_else() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > session 7 login bob/user
            set idle 7 in 86400 s
            cancel login 7
        > session 7 login ann/scientist
    "#,
    );
}

#[test]
fn a_silent_client_is_let_go() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > session 7 login ann/scientist
            set idle 7 in 86400 s
            cancel login 7
        > +24h timer idle 7
            cancel idle 7
            close link of session 7
        > session 7 closed
    "#,
    );
}

#[test]
fn a_client_whose_replies_go_nowhere_is_gone_at_once() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > session 7 gone
            cancel login 7
        > session 8 opened
            set login 8 in 30 s
        > session 8 login ann/scientist
            set idle 8 in 86400 s
            cancel login 8
        > session 8 gone
            cancel idle 8
        > session 8 closed
            turned down closed in state closed: there is no session 8
    "#,
    );
}

#[test]
fn the_server_ends_a_session_once() {
    conversation(
        r#"
        > session 7 opened
            set login 7 in 30 s
        > session 7 login ann/scientist
            set idle 7 in 86400 s
            cancel login 7
        > session 7 close reads too slowly
            cancel idle 7
            close link of session 7
        > session 7 close the server stops
            turned down close_asked in state closing: the session is being closed
        > session 7 gone
    "#,
    );
}

#[test]
fn what_does_not_fit_the_state_is_turned_down() {
    conversation(
        r#"
        > session 7 message
            turned down message_arrived in state closed: there is no session 7
        > stale timer login 7
            turned down login_timed_out in state closed: there is no session 7
        > session 7 opened
            set login 7 in 30 s
        > session 7 opened
            turned down opened in state awaiting_login: this does not fit the state of the session
        > session 7 connected
            turned down connected in state awaiting_login: this does not fit the state of the session
        > session 7 closed
            turned down closed in state awaiting_login: this does not fit the state of the session
        > stale timer idle 7
            turned down idle_timed_out in state awaiting_login: this does not fit the state of the session
        > session 7 login ann/scientist
            set idle 7 in 86400 s
            cancel login 7
        > stale timer login 7
            turned down login_timed_out in state active: this does not fit the state of the session
    "#,
    );
}
