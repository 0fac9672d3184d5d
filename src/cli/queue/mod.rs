//! `beamq queue`: the waiting jobs, and every change of them.

mod change;
mod list;

use clap::{Args, Subcommand};

use self::change::{
    ClearArgs, DuplicateArgs, EditArgs, HoldArgs, MoveArgs, ReleaseArgs, RemoveArgs, ReorderArgs, StopArgs,
};
use super::{connect::Globals, exit::Failure};

#[derive(Args, Debug)]
pub(super) struct QueueArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// List the active and the waiting jobs (the default)
    List,
    /// Move jobs to another place, together
    #[command(mut_group("PlaceArgs", |group| group.required(true)))]
    Move(MoveArgs),
    /// Give the whole new order: every waiting job once
    Reorder(ReorderArgs),
    /// Hold the queue, or only some jobs
    Hold(HoldArgs),
    /// Release the queue, or only some jobs
    Release(ReleaseArgs),
    /// Stop after the running job
    Stop(StopArgs),
    /// Remove all waiting jobs
    Clear(ClearArgs),
    /// Remove some waiting jobs
    Remove(RemoveArgs),
    /// Change a waiting job; without any change given, open its script in $EDITOR
    Edit(EditArgs),
    /// Queue a copy of a job
    Duplicate(DuplicateArgs),
}

pub(super) async fn run(args: QueueArgs, globals: Globals) -> Result<(), Failure> {
    let action = args.action.unwrap_or(Action::List);
    if let Action::Edit(args) = &action {
        args.check()?;
    }
    let session = globals.connect().await?;
    let outcome = match action {
        Action::List => list::run(&session).await,
        Action::Move(args) => change::move_jobs(&session, args).await,
        Action::Reorder(args) => change::reorder(&session, args).await,
        Action::Hold(args) => change::hold(&session, args).await,
        Action::Release(args) => change::release(&session, args).await,
        Action::Stop(args) => change::stop(&session, args).await,
        Action::Clear(args) => change::clear(&session, args).await,
        Action::Remove(args) => change::remove(&session, args).await,
        Action::Edit(args) => change::edit(&session, args).await,
        Action::Duplicate(args) => change::duplicate(&session, args).await,
    };
    session.client.close().await;
    outcome
}
