//! Which order is due, and what NICOS's answer to it means.

use beamq_machines::{AbortStage, PauseLevel};
use tokio::time::Instant;

use super::{Devices, Run};
use crate::engine::{
    EngineEvent,
    nicos::{
        orders::{AT_LINE, AT_POINT, BETWEEN_STATEMENTS, NOW, Order},
        truth::{Activity, Truth},
    },
};

impl Run {
    /// What to order, now that NICOS is seen to do this. `Idle` may be the gap between two statements, in which
    /// NICOS refuses every order.
    pub(in crate::engine::nicos) fn next_order(&mut self, truth: &Truth) -> Option<Order> {
        if self.ordered {
            return None;
        }
        let order = match self.request.clone() {
            Some(request) if self.abort.is_some() && truth.waiting.contains(&request) => {
                Some(Order::Unqueue(request))
            }
            _ if !self.is(truth.request.as_deref()) => None,
            _ => self.order_of_running(truth),
        };
        self.ordered = order.is_some();
        order
    }

    fn order_of_running(&mut self, truth: &Truth) -> Option<Order> {
        if let Some(stage) = self.abort
            && self.stopped.is_none_or(|(told, _)| told < stage)
        {
            let hard = stage > AbortStage::Ask;
            return match truth.activity {
                // What it does to end itself is let be until the last stage.
                Activity::Stopping if stage < AbortStage::Kill => {
                    self.stopped = Some((stage, Instant::now()));
                    None
                }
                Activity::Running | Activity::Paused | Activity::Stopping => {
                    let devices = hard && self.devices == Devices::Untold;
                    self.request.clone().map(|request| Order::Stop { request, hard, devices })
                }
                Activity::Idle => None,
            };
        }
        match truth.activity {
            Activity::Running => {
                self.resume = false;
                match self.pause {
                    Some((level, false)) => Some(Order::Break(breakpoint(level))),
                    Some(_) | None => self.take_back.then_some(Order::CancelBreak),
                }
            }
            // It is kept until NICOS has it, so that a repeated question is known.
            Activity::Paused => match &self.answer {
                Some((answer, _)) => Some(answer.clone()),
                None => (self.resume || self.take_back).then_some(Order::Continue),
            },
            Activity::Idle | Activity::Stopping => None,
        }
    }

    /// NICOS has answered an order.
    pub(in crate::engine::nicos) fn answered(
        &mut self,
        order: &Order,
        refusal: Option<&str>,
    ) -> Option<EngineEvent> {
        self.ordered = false;
        match (order, refusal) {
            // NICOS was between two statements: again, when it is seen to run.
            (_, Some(BETWEEN_STATEMENTS)) if *order != Order::Finish => None,
            // Paused already by somebody else does as well.
            (Order::Break(level), None | Some("script is already paused")) => {
                match &mut self.pause {
                    Some((wanted, known)) => *known = breakpoint(*wanted) == *level,
                    // It was taken back while NICOS was told.
                    None => self.take_back = refusal.is_none(),
                }
                None
            }
            (Order::CancelBreak, None) => {
                self.take_back = false;
                None
            }
            (Order::CancelBreak, Some("script is already paused")) => None,
            // Somebody was faster.
            (Order::Continue, Some("script is not paused")) => {
                self.give_up(order);
                None
            }
            (Order::Continue, None) => {
                self.resume = false;
                self.take_back = false;
                None
            }
            (Order::Stop { devices, .. }, None) => {
                if *devices {
                    self.devices = Devices::Told;
                }
                self.stopped = self.abort.map(|stage| (stage, Instant::now()));
                None
            }
            // Without them, then.
            (Order::Stop { devices: true, .. }, Some(refusal)) => {
                self.record.take_note(&format!("NICOS cannot be told to stop its devices: {refusal}"));
                self.devices = Devices::Refused;
                None
            }
            (Order::Answer { .. }, None) => {
                self.answer = None;
                self.resume = true;
                None
            }
            (Order::Finish, refusal) => {
                let what = refusal.is_none().then(|| "the running count".to_owned());
                Some(EngineEvent::Skipped(self.job(), what))
            }
            (Order::Unqueue(_), _) => None,
            // The script still waits for one that fits.
            (Order::Answer { .. }, Some(refusal)) => {
                self.record.take_note(&format!("NICOS refuses the answer: {refusal}"));
                let (_, mut open) = self.answer.take()?;
                open.question.number = self.questions + 1;
                self.ask(open)
            }
            (order, Some(refusal)) => {
                self.record.take_note(&format!("NICOS refuses {}: {refusal}", describe(order)));
                self.give_up(order);
                None
            }
        }
    }

    /// What NICOS refuses for good is not asked again and again.
    fn give_up(&mut self, order: &Order) {
        match order {
            Order::Break(_) => self.pause = None,
            Order::CancelBreak => self.take_back = false,
            Order::Continue => {
                self.resume = false;
                self.take_back = false;
            }
            Order::Answer { .. } => self.answer = None,
            Order::Stop { .. } => {
                self.stopped = self.abort.map(|stage| (stage, Instant::now()));
            }
            Order::Unqueue(_) | Order::Finish => {}
        }
    }
}

/// NICOS's level of a pause.
fn breakpoint(level: PauseLevel) -> u8 {
    match level {
        PauseLevel::Line => AT_LINE,
        PauseLevel::Point => AT_POINT,
        PauseLevel::Now => NOW,
    }
}

fn describe(order: &Order) -> &'static str {
    match order {
        Order::Unqueue(_) => "to take the script off its queue",
        Order::Break(_) => "to pause",
        Order::CancelBreak => "to take the pause back",
        Order::Continue => "to go on",
        Order::Finish => "to end the count",
        Order::Stop { .. } => "to stop",
        Order::Answer { .. } => "the answer",
    }
}
