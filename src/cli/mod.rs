//! The command line: one file per subcommand, all of them clients like any other.
//!
//! Nothing here may know more of the server than the protocol says; `serve` alone starts one.

mod account;
mod answer;
mod broker_config;
mod call;
mod check;
mod commands;
mod completions;
mod confined_python;
mod connect;
mod demo;
mod dry_run;
mod exit;
mod follow;
mod history;
mod job_fields;
mod live;
mod model;
mod moment;
mod output;
mod place;
mod queue;
mod render;
mod rerun;
mod run_control;
mod schema;
mod serve;
mod source;
mod status;
mod submit;
mod terminal;
mod token;
mod watch;

use std::{future::Future, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use self::{
    connect::Globals,
    exit::{EXIT_CODES, Exit, Failure},
};

/// The script server of an instrument: queues Python scripts, runs them one at a time and tells everyone
/// what is happening.
#[derive(Parser, Debug)]
#[command(name = "beamq", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start the server
    Serve(serve::ServeArgs),
    /// Show an example experiment on a server of its own
    Demo(demo::DemoArgs),
    /// Check catalogue files
    Check(check::CheckArgs),
    /// Say what a script, a job or the whole queue would do, without touching the instrument
    DryRun(dry_run::DryRunArgs),
    /// Put scripts into the queue
    Submit(submit::SubmitArgs),
    /// Put a command of the instrument into the queue
    Call(call::CallArgs),
    /// List the commands of the instrument, or show one
    Commands(commands::CommandsArgs),
    /// Print the JSON Schemas, a Python stub or a page of the commands
    Schema(schema::SchemaArgs),
    /// Show what the server is doing
    Status,
    /// Follow what happens, until interrupted or until the job ends
    Watch(watch::WatchArgs),
    /// Look at the waiting jobs and change them
    Queue(queue::QueueArgs),
    /// Pause the running job
    Pause(run_control::PauseArgs),
    /// Go on after a pause, or take back one that has not taken effect
    Resume,
    /// End the wait that the running script is in
    Skip,
    /// Abort the running job; a second time presses harder
    Abort(run_control::AbortArgs),
    /// Answer a question of the running script
    Answer(answer::AnswerArgs),
    /// Run a finished job again, changed if wished
    Rerun(rerun::RerunArgs),
    /// Show the output of a job
    Output(output::OutputArgs),
    /// List the jobs that have ended
    History(history::HistoryArgs),
    /// Print the token that clients log in with
    Token,
    /// Manage the accounts of the configuration
    Account(account::AccountArgs),
    /// Make the configuration and the passwords of a guarded ActiveMQ
    BrokerConfig(broker_config::BrokerConfigArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Run an interpreter that reaches nothing, for dry runs
    #[command(hide = true)]
    ConfinedPython(confined_python::ConfinedArgs),
}

/// Runs the command line of this process and gives its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => return explain_usage(&error),
    };
    let CommandLine { globals, command } = command_line;
    let terminal = globals.terminal();
    match dispatch(globals, command) {
        Ok(()) => Exit::Good.into(),
        Err(failure) => {
            terminal.explain(&failure);
            failure.exit.into()
        }
    }
}

fn explain_usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // When even this cannot be written, nobody is there to read it.
        let _ = error.print();
        return Exit::Good.into();
    }
    // What could not be understood has no flags: the words themselves say whether a program reads this.
    if std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json") {
        eprintln!("{}", usage(error).document());
    } else {
        let _ = error.print();
    }
    Exit::Usage.into()
}

/// A misuse of the command line in the form of every other failure: the first paragraph says what is wrong,
/// the rest what would be right.
fn usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let (wrong, right) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let failure = Failure::new(Exit::Usage, words(wrong.trim_start_matches("error: ")));
    if right.is_empty() { failure } else { failure.hint(words(right)) }
}

fn dispatch(globals: Globals, command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args, &globals),
        Command::Demo(args) => block_on(demo::run(args, globals)),
        Command::Check(args) => block_on(check::run(args, globals)),
        Command::DryRun(args) => block_on(dry_run::run(args, globals)),
        Command::Call(args) => block_on(call::run(args, globals)),
        Command::Commands(args) => block_on(commands::run(args, globals)),
        Command::Schema(args) => schema::run(&args, &globals),
        Command::Submit(args) => block_on(submit::run(args, globals)),
        Command::Status => block_on(status::run(globals)),
        Command::Watch(args) => block_on(watch::run(args, globals)),
        Command::Queue(args) => block_on(queue::run(args, globals)),
        Command::Pause(args) => block_on(run_control::pause(args, globals)),
        Command::Resume => block_on(run_control::resume(globals)),
        Command::Skip => block_on(run_control::skip(globals)),
        Command::Abort(args) => block_on(run_control::abort(args, globals)),
        Command::Answer(args) => block_on(answer::run(args, globals)),
        Command::Rerun(args) => block_on(rerun::run(args, globals)),
        Command::Output(args) => block_on(output::run(args, globals)),
        Command::History(args) => block_on(history::run(args, globals)),
        Command::Token => token::run(&globals),
        Command::Account(args) => account::run(&args, &globals.terminal()),
        Command::BrokerConfig(args) => broker_config::run(&args, &globals),
        Command::Completions(args) => completions::run(&args, CommandLine::command()),
        Command::ConfinedPython(args) => confined_python::run(args),
    }
}

/// Runs a client. One thread is enough for it, and starts faster than many.
fn block_on(client: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::Internal, format!("cannot start the asynchronous runtime: {error}"))
    })?;
    runtime.block_on(client)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(std::iter::once("beamq").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn everything_that_the_documentation_promises_is_understood() {
        for line in [
            "serve --config c.yaml --data d --stomp 127.0.0.1:0 --http 127.0.0.1:0 --commands c --json --quiet",
            "demo --keep",
            "submit a.py b.py --name n --tag t --tag u --group g --front --black-box --hold --repeat 3 --wait",
            "submit - --before 4 --not-before 2h --deadline 2030-01-01T00:00:00Z --timeout 2h",
            "submit a.py --index 2 --revision 7",
            "check",
            "check a.yaml commands --import --python python3 --format github",
            "call set_temperature value=5 wait=true --wait --front",
            "commands",
            "commands set_temperature --json",
            "commands --group Waits",
            "schema",
            "schema openrpc",
            "schema --stubs --commands c",
            "schema --docs",
            "dry-run a.py b.py --at 22:00 --svg t.svg --commands c --python python3 --json",
            "status --json",
            "watch",
            "watch 12 --quiet",
            "queue list",
            "queue move 1 2 --front",
            "queue move --group g --after 9",
            "queue reorder 3 2 1",
            "queue hold",
            "queue hold --why beam",
            "queue hold 3 4",
            "queue hold --group g",
            "queue release",
            "queue release 3",
            "queue stop",
            "queue stop --cancel",
            "queue clear --revision 4",
            "queue remove 3 4 --lenient",
            "queue remove --group g",
            "queue edit 3 --script s.py --name n",
            "queue duplicate 3 --front",
            "pause --level now",
            "resume",
            "skip",
            "abort --why wrong",
            "answer 4 yes",
            "rerun 3 --edit f.py --name n --wait",
            "output 3 -f",
            "history --state failed --limit 5",
            "token",
            "completions bash",
            "account hash",
            "--server stomp://u:p@h:1 --data d --color never status",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn contradictions_and_unknown_words_are_wrong_usage() {
        for line in [
            "frobnicate",
            "submit",
            "submit a.py --front --back",
            "submit a.py --before 1 --after 2",
            "submit a.py --index -1",
            "submit a.py --repeat 0",
            "submit a.py --deadline soon",
            "queue move 1",
            "queue move --front",
            "queue move 1 --group g --front",
            "queue reorder",
            "queue remove",
            "pause --level later",
            "answer 4",
            "completions tcl",
            "status --color sometimes",
        ] {
            let error = parse(line).map(|_| line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_documentation_names_every_command_every_flag_and_every_exit_code() {
        let documentation = include_str!("../../docs/command-line.md");
        let mut open = vec![CommandLine::command()];
        while let Some(command) = open.pop() {
            for argument in command.get_arguments().filter_map(|argument| argument.get_long()) {
                let flag = format!("--{argument}");
                assert!(documentation.contains(&flag), "{}: {flag}", command.get_name());
            }
            for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
                assert!(
                    documentation.contains(&format!("`{}", inner.get_name()))
                        || documentation.contains(&format!(" {}", inner.get_name())),
                    "{}",
                    inner.get_name()
                );
                open.push(inner.clone());
            }
        }
        for code in ["0", "1", "2", "3", "4", "5", "6", "70"] {
            assert!(documentation.contains(&format!("| {code} |")), "{code}");
        }
    }

    #[test]
    fn what_is_nobodys_command_is_not_promised() {
        let help = CommandLine::command().render_long_help().to_string();
        assert!(!help.contains("confined-python"), "{help}");
        assert!(help.contains("dry-run") && help.contains("Exit codes:"), "{help}");
    }
}
